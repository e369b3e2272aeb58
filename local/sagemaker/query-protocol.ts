/** AWS's query protocol, which STS speaks: form-encoded requests, XML answers. */
import type { Members } from "./json.js";
import type { ServiceModel, Shape } from "./model.js";
import { shapeOf } from "./model.js";

/** Builds the members of a shape out of `Name=…&List.member.1.Key=…`; other parameters are ignored. */
export function decodeForm(model: ServiceModel, shapeName: string, form: URLSearchParams): Members {
  const decoded = decode(model, shapeOf(model, shapeName), form, "");
  return typeof decoded === "object" && decoded !== null ? { ...decoded } : {};
}

function decode(model: ServiceModel, shape: Shape, form: URLSearchParams, path: string): unknown {
  const isPresent = [...form.keys()].some((key) => key === path || key.startsWith(`${path}.`));
  if (path !== "" && !isPresent) return undefined;
  const below = (member: string) => (path === "" ? member : `${path}.${member}`);
  switch (shape.type) {
    case "structure":
      return Object.fromEntries(
        Object.entries(shape.members ?? {}).map(([name, member]) => [
          name,
          decode(model, shapeOf(model, member.shape), form, below(name)),
        ]),
      );
    case "list": {
      const element = shapeOf(model, shape.member?.shape ?? "");
      const elements: unknown[] = [];
      for (;;) {
        const place = below(`member.${elements.length + 1}`);
        const decoded = decode(model, element, form, place);
        if (decoded === undefined) return elements;
        elements.push(decoded);
      }
    }
    case "integer":
      return Number(form.get(path));
    case "boolean":
      return form.get(path) === "true";
    default:
      return form.get(path);
  }
}

/** `{A: {B: "x"}}` as `<A><B>x</B></A>`. */
export interface Xml {
  readonly [name: string]: string | Xml;
}

export function toXml(document: Xml): string {
  return Object.entries(document)
    .map(([name, value]) => {
      const inner = typeof value === "string" ? escapeXml(value) : toXml(value);
      return `<${name}>${inner}</${name}>`;
    })
    .join("");
}

function escapeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
