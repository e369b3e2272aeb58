/** How far a command with many decisions has come: one line on stderr, redrawn on a terminal. */
import { createLogUpdate } from "log-update";
import type { BulkResult } from "../bulk-decide.js";
import type { Verdict } from "./decide-flags.js";
import type { Shell } from "./shell.js";
import { count } from "./words.js";

export interface BulkProgress {
  update(results: readonly BulkResult[]): void;
  end(): void;
}

const LIVE_EVERY_MS = 100;
const PLAIN_EVERY_MS = 4000;

export function bulkProgress(shell: Shell, verdict: Verdict, wanted: number): BulkProgress {
  const live = shell.stderr.isTTY === true ? createLogUpdate(process.stderr) : undefined;
  const started = Date.now();
  let told = started;
  return {
    update: (results) => {
      if (Date.now() - told < (live === undefined ? PLAIN_EVERY_MS : LIVE_EVERY_MS)) return;
      told = Date.now();
      const seconds = (told - started) / 1000;
      const past = verdict === "approve" ? "approved" : "denied";
      const rate = (results.length / seconds).toFixed(0);
      const line = `${count(results.length)} of ${count(wanted)} ${past}, ${rate} a second`;
      if (live === undefined) shell.stderr.write(`${line}\n`);
      else live(line);
    },
    end: () => {
      live?.clear();
      live?.done();
    },
  };
}
