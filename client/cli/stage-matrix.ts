/** `modelfleet status FLEET --stages`: customer by stage, the version that serves and what is under way. */
import type { Connections } from "../connections.js";
import { readStageMatrix, type ComingVersion, type StageCell } from "../stage-matrix.js";
import { printJson, printLines, safe, say, tableLines } from "./print.js";
import type { Shell } from "./shell.js";
import { duration } from "./words.js";

export async function listStages(
  shell: Shell,
  connections: Connections,
  named: { readonly fleet: string; readonly customer?: string },
  { json }: { readonly json?: true },
): Promise<void> {
  const matrix = await readStageMatrix(connections, named);
  if (json) return printJson(shell, matrix);
  if (matrix.customers.length === 0)
    return say(shell, `no customer of ${named.fleet} has a model yet`);
  const columns = [{ title: "customer" }, ...matrix.stages.map((title) => ({ title }))];
  const rows = matrix.customers.map(({ customer, stages }) => [
    safe(customer),
    ...stages.map((cell) => cellText(cell, Date.now())),
  ]);
  printLines(shell, tableLines(shell, columns, rows));
}

/** `2`, `2 → 3 in 6d 4h`, `– → 3 held by ann`. `now`: milliseconds. */
export function cellText({ version, coming }: StageCell, now: number): string {
  const serves = version === null ? "–" : String(version);
  return coming === null ? serves : `${serves} → ${coming.version}${words(coming, now)}`;
}

function words({ state, due, note }: ComingVersion, now: number): string {
  switch (state) {
    case "lag": {
      const seconds = Math.max(0, Math.round((Date.parse(due ?? "") - now) / 1000));
      return ` in ${seconds < DAY ? duration(seconds) : days(seconds)}`;
    }
    case "held":
      return ` held${note === null ? "" : ` ${safe(note)}`}`;
    case "approval":
      return " waits for approval";
    case "stage-approval":
      return " waits for the stage's approval";
    case "publishing":
      return " being published";
    case "rejected":
      return ` rejected${note === null ? "" : `: ${safe(note)}`}`;
    default:
      return "";
  }
}

/** Seconds. */
const DAY = 24 * 60 * 60;

const days = (seconds: number): string =>
  `${Math.floor(seconds / DAY)} d ${Math.floor((seconds % DAY) / 3600)} h`;
