/** The stored histories of test/histories: reads them, and keeps machines' paths out of them. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { historyFromJSON } from "@temporalio/common/lib/proto-utils.js";

const folder = fileURLToPath(new URL("../histories/", import.meta.url));

type History = ReturnType<typeof historyFromJSON>;

export interface StoredHistory {
  readonly name: string;
  readonly workflowType: string;
  readonly history: History;
}

export function storedHistories(): StoredHistory[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => {
      const history = historyFromJSON(JSON.parse(readFileSync(folder + file, "utf8")));
      const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
      return { name: file, workflowType: started?.workflowType?.name ?? "", history };
    });
}

/** Stack traces name the machine's folders, and replay does not look at them. */
export function withoutTraces(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutTraces);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([key]) => key !== "stackTrace");
  return Object.fromEntries(entries.map(([key, inner]) => [key, withoutTraces(inner)]));
}
