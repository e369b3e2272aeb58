/** `modelfleet history`: past cycles of a fleet, or one customer's evaluations over time. */
import type { Command } from "commander";
import { openConnections, type Connections } from "../connections.js";
import { readEvaluations } from "../evaluations.js";
import { readCycles } from "../ledger.js";
import { withExamples, withJson } from "./options.js";
import { printJson, printLines, safe, tableLines } from "./print.js";
import type { Shell } from "./shell.js";
import { change, count, duration, figure, localTime, windowTime } from "./words.js";

export function configureHistory(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .argument("[customer]", "a customer; without it, the fleet's cycles");
  withJson(command);
  withExamples(command, [
    "modelfleet history flight-delays",
    "modelfleet history flight-delays XNA",
  ]);
  command.action(async (fleet: string, customer: string | undefined, flags: { json?: true }) => {
    const connections = openConnections(shell.environment());
    try {
      await (customer === undefined
        ? fleetHistory(shell, connections, fleet, flags.json === true)
        : customerHistory(shell, connections, { fleet, customer }, flags.json === true));
    } finally {
      await connections.close();
    }
  });
}

async function fleetHistory(
  shell: Shell,
  connections: Connections,
  fleet: string,
  json: boolean,
): Promise<void> {
  const cycles = await readCycles(connections, fleet);
  if (json) return printJson(shell, { fleet, cycles });
  const rows = cycles.map((cycle) => {
    const { states, startedAt, endedAt } = cycle;
    const seconds =
      endedAt === null ? undefined : (Date.parse(endedAt) - Date.parse(startedAt)) / 1000;
    const made = cycle.customers - (states.skipped ?? 0) - (states.failed ?? 0);
    return [
      cycle.cycle,
      cycle.state,
      `${windowTime(cycle.windowFloor)} up to ${windowTime(cycle.windowCeiling)}`,
      ...[made, states.serving, states["champion-kept"], states.skipped, states.failed].map(
        (value) => count(value ?? 0),
      ),
      localTime(startedAt),
      seconds === undefined ? "" : duration(seconds),
    ];
  });
  const right = (title: string) => ({ title, align: "right" }) as const;
  const columns = [
    ...[{ title: "cycle" }, { title: "state" }, { title: "window" }],
    ...["trained", "published", "kept", "skipped", "failed"].map(right),
    ...[{ title: "started" }, right("took")],
  ];
  printLines(shell, tableLines(shell, columns, rows));
}

async function customerHistory(
  shell: Shell,
  connections: Connections,
  named: { fleet: string; customer: string },
  json: boolean,
): Promise<void> {
  const history = await readEvaluations(connections, named);
  if (json) return printJson(shell, { fleet: named.fleet, ...history });
  const rows = history.cycles.map((one) => [
    one.cycle,
    one.releaseState ?? one.state,
    one.version === null ? "" : String(one.version),
    count(one.rows),
    figure(one.metrics?.rmse),
    figure(one.metrics?.mae),
    change(one.metrics?.rmse, one.championMetrics?.rmse),
    change(one.metrics?.rmse, one.baselineMetrics?.rmse),
    safe(one.decidedBy ?? one.because ?? one.reason ?? ""),
  ]);
  const right = (title: string) => ({ title, align: "right" }) as const;
  const columns = [
    ...[{ title: "cycle" }, { title: "state" }],
    ...["version", "rows", "rmse", "mae", "rmse to champion", "to baseline"].map(right),
    { title: "decided by, or why" },
  ];
  printLines(shell, [
    `${shell.colors.bold(safe(history.customer))} of ${named.fleet}`,
    ...tableLines(shell, columns, rows),
  ]);
}
