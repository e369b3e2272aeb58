/** How far a command with many decisions has come. */
import type { BulkResult } from "../bulk-decide.js";
import type { Verdict } from "./decide-flags.js";
import { progressLine } from "./progress-line.js";
import type { Shell } from "./shell.js";
import { count } from "./words.js";

export interface BulkProgress {
  update(results: readonly BulkResult[]): void;
  end(): void;
}

export function bulkProgress(shell: Shell, verdict: Verdict, wanted: number): BulkProgress {
  const line = progressLine(shell);
  const past = verdict === "approve" ? "approved" : "denied";
  return {
    update: ({ length }) =>
      line.tell((seconds) => {
        const rate = (length / seconds).toFixed(0);
        return `${count(length)} of ${count(wanted)} ${past}, ${rate} a second`;
      }),
    end: () => line.end(),
  };
}
