/** What an endpoint answered, as far as its content type and the bytes tell. */
import { parsePredictions } from "../invocation.js";

export type Answer =
  /** CSV that is numbers and nothing else. */
  | { readonly kind: "predictions"; readonly predictions: readonly number[] }
  | { readonly kind: "json"; readonly value: unknown }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array };

/** JSON that is none, and CSV with words in it, are text. */
export function readAnswer(bytes: Uint8Array, contentType: string): Answer {
  const text = textOf(bytes);
  if (text === undefined) return { kind: "bytes", bytes };
  const type = contentType.split(";")[0]?.trim().toLowerCase();
  if (type === "text/csv") {
    const predictions = parsePredictions(text);
    if (!predictions.some(Number.isNaN)) return { kind: "predictions", predictions };
  }
  if (type === "application/json") {
    try {
      const value: unknown = JSON.parse(text);
      return { kind: "json", value };
    } catch {
      return { kind: "text", text };
    }
  }
  return { kind: "text", text };
}

/** Undefined when the bytes are no UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
