/** Waits until a started part answers; when it dies or stays silent, tells its last words. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Launched } from "./launch.js";
import { lastLines } from "./log-tail.js";
import { StackError } from "./stack-error.js";

const probeIntervalMilliseconds = 40;
const quotedLogLines = 8;

export interface ReadyOptions {
  readonly title: string;
  readonly launched: Launched;
  readonly timeoutSeconds: number;
  /** True once it answers. A probe that throws counts as "not yet". */
  readonly probe: () => Promise<boolean>;
}

export async function awaitReady(options: ReadyOptions): Promise<void> {
  const { launched, title } = options;
  const deadline = Date.now() + options.timeoutSeconds * 1000;
  while (!(await options.probe().catch(() => false))) {
    if (launched.ending.how !== undefined) {
      throw startError(
        "PartDied",
        `${title} ended while starting (${launched.ending.how})`,
        launched,
      );
    }
    if (Date.now() > deadline) {
      const message = `${title} did not answer within ${options.timeoutSeconds} s`;
      throw startError("PartNotReady", message, launched);
    }
    await sleep(probeIntervalMilliseconds);
  }
}

function startError(
  type: "PartDied" | "PartNotReady",
  message: string,
  { record, logOffset }: Launched,
): StackError {
  const lines = lastLines(record.log, quotedLogLines, logOffset).map((line) => `\n  | ${line}`);
  const quoted =
    lines.length === 0 ? "; it logged nothing" : `; its last log lines:${lines.join("")}`;
  return new StackError(type, `${message}${quoted}`, `read the whole log: ${record.log}`);
}
