/** How far a command has come: one line on stderr, redrawn on a terminal, else a plain one now and then. */
import { createLogUpdate } from "log-update";
import type { Shell } from "./shell.js";

export interface ProgressLine {
  /** `textOf` gets the seconds since the line was opened, and is asked only when it is time to tell. */
  tell(textOf: (seconds: number) => string): void;
  /** What was redrawn goes. */
  end(): void;
}

const LIVE_EVERY_MS = 100;
const PLAIN_EVERY_MS = 4000;

/** A command that ends before it is time to tell shows none. */
export function progressLine(shell: Shell): ProgressLine {
  const live = shell.stderr.isTTY === true ? createLogUpdate(process.stderr) : undefined;
  const started = Date.now();
  let told = started;
  return {
    tell: (textOf) => {
      if (Date.now() - told < (live === undefined ? PLAIN_EVERY_MS : LIVE_EVERY_MS)) return;
      told = Date.now();
      const line = textOf((told - started) / 1000);
      if (live === undefined) shell.stderr.write(`${line}\n`);
      else live(line);
    },
    end: () => {
      live?.clear();
      live?.done();
    },
  };
}
