/** Prints how a stack's parts stand. */
import Table from "cli-table3";
import type { LocalShell } from "./shell.js";
import type { ProcessState, StackStatus } from "./stack/status.js";

export function printStatus(shell: LocalShell, status: StackStatus, json: boolean): void {
  if (json) {
    const { name, state, basePort, up, processes } = status;
    const document = { name, state, basePort, up, processes };
    shell.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    return;
  }
  const { colors } = shell;
  const none = Object.fromEntries(borders.map((name) => [name, ""]));
  const table = new Table({
    head: ["part", "state", "pid", "port", "version", "memory", "uptime"].map((title) =>
      colors.dim(title),
    ),
    colAligns: ["left", "left", "right", "right", "left", "right", "right"],
    chars: { ...none, middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  for (const process of status.processes) {
    table.push([
      process.name,
      stateColor(shell, process.state),
      process.pid ?? "–",
      process.port ?? "–",
      process.version ?? "–",
      process.memoryBytes === null ? "–" : `${Math.round(process.memoryBytes / 2 ** 20)} MB`,
      process.uptimeSeconds === null ? "–" : duration(process.uptimeSeconds),
    ]);
  }
  const lines = table
    .toString()
    .split("\n")
    .map((line) => `  ${line.trimEnd()}`);
  const advice = status.up ? [] : [`Start what is down with: modelfleet local up${status.flags}`];
  const head = `The stack "${status.name}" in ${status.state}`;
  shell.stdout.write(`${[head, ...lines, ...advice].join("\n")}\n`);
}

const borders = [
  ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left"],
  ...["bottom-right", "left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
];

function stateColor(shell: LocalShell, state: ProcessState): string {
  const { colors } = shell;
  if (state === "running") return colors.green(state);
  return state === "starting" ? colors.yellow(state) : colors.red(state);
}

/** 42 s, 3 min, 5 h, 2 d: one figure is enough for "since when". */
function duration(seconds: number): string {
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
