/** `modelfleet history`: past cycles of a fleet, or one customer's evaluations and searches over time. */
import type { Command } from "commander";
import { readCohorts, type Cohort } from "../cohorts.js";
import { openConnections, type Connections } from "../connections.js";
import { readEvaluations } from "../evaluations.js";
import { readCycles, type Cycle } from "../ledger.js";
import {
  readCycleSearches,
  readSearches,
  type CustomerSearch,
  type CycleSearches,
} from "../tuning-history.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, tableLines } from "./print.js";
import type { Shell } from "./shell.js";
import { change, count, duration, figure, localTime, several, windowTime } from "./words.js";

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
  const searches = await readCycleSearches(connections, fleet);
  const cohorts = await readCohorts(connections, { fleet });
  const cycles = (await readCycles(connections, fleet)).map((cycle) => ({
    ...cycle,
    tuning: searches.get(cycle.cycle) ?? null,
    cohorts: cohorts.filter((cohort) => cohort.cycle === cycle.cycle),
  }));
  if (json) return printJson(shell, { fleet, cycles });
  const tuned = searches.size > 0;
  const drifted = cycles.some(({ drift }) => drift !== null);
  const rows = cycles.map((cycle) => {
    const { states, startedAt, endedAt, tuning } = cycle;
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
      ...(tuned ? [tuning === null ? "" : cycleSearches(tuning)] : []),
      ...(cohorts.length > 0 ? [cycle.cohorts.map(cohortWords).join("; ")] : []),
      ...(drifted ? [safe(driftWords(cycle))] : []),
      localTime(startedAt),
      seconds === undefined ? "" : duration(seconds),
    ];
  });
  const right = (title: string) => ({ title, align: "right" }) as const;
  const columns = [
    ...[{ title: "cycle" }, { title: "state" }, { title: "window" }],
    ...["trained", "published", "kept", "skipped", "failed"].map(right),
    ...(tuned ? [{ title: "searches" }] : []),
    ...(cohorts.length > 0 ? [{ title: "cohort" }] : []),
    ...(drifted ? [{ title: "called for by drift" }] : []),
    ...[{ title: "started" }, right("took")],
  ];
  printLines(shell, tableLines(shell, columns, rows));
}

/** "version 3, 998 models, published": its customers are counted beside it. */
const cohortWords = ({ version, members, state }: Cohort): string =>
  `version ${version}, ${several(members, "model")}, ${state}`;

/** "M010: PSI of load 4.1, at most 0.25 is tolerated": of several, the worst. */
function driftWords({ drift }: Cycle): string {
  if (drift === null) return "";
  const { customer, because } = drift.worst;
  const [first = because] = because.split("; ");
  const others = drift.customers - 1;
  return `${customer}: ${first}${others === 0 ? "" : `, and ${several(others, "more customer")}`}`;
}

/** "20 warm, 3 cold, 160 jobs": so many started from earlier ones, so many training jobs (or trials in one) completed. */
function cycleSearches({ warmStarts, trials, packed, testing }: CycleSearches): string {
  const warm = warmStarts.identical + warmStarts.transfer;
  const parts = [
    `${count(warm)} warm`,
    `${count(warmStarts.none)} cold`,
    several(trials, packed ? "trial" : "job"),
  ];
  return `${parts.join(", ")}${testing ? " (testing)" : ""}`;
}

async function customerHistory(
  shell: Shell,
  connections: Connections,
  named: { fleet: string; customer: string },
  json: boolean,
): Promise<void> {
  const { fleet } = named;
  const history = await readEvaluations(connections, named);
  const searches = await readSearches(connections, { fleet, customerKey: history.customerKey });
  if (json) return printJson(shell, { fleet, ...history, searches });
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
    `${shell.colors.bold(safe(history.customer))} of ${fleet}`,
    ...tableLines(shell, columns, rows),
    ...searches.flatMap((search) => searchLines(shell, search)),
  ]);
}

/** One search: what it found, then where it started from, with the reason for each earlier search. */
function searchLines(shell: Shell, search: CustomerSearch): string[] {
  const { objective, best, warmStart, trialStatuses, maxJobs } = search;
  const done = trialStatuses === null ? "" : `${trialStatuses.completed ?? 0} of `;
  const found =
    best === null
      ? (search.failureReason ?? `${objective.metric} not reached`)
      : `best ${objective.metric} ${figure(best.value)}`;
  const start =
    warmStart.type === null
      ? `from nothing: ${warmStart.because}`
      : `${warmStart.type} from ${warmStart.parents.join(", ")}: ${warmStart.because}`;
  return [
    "",
    `  ${search.cycle}  ${search.tuningJobName}${search.testing ? " (testing)" : ""}`,
    ...fieldLines(shell, [
      [
        "search",
        `${search.strategy}, ${done}${several(maxJobs, search.packed ? "trial" : "training job")}, ${search.status ?? "running"}`,
      ],
      ...(search.sizeBecause === null ? [] : [["size", search.sizeBecause] as const]),
      ["found", safe(found)],
      ["start", safe(start)],
      ...warmStart.reasons.map(
        ({ tuningJobName, taken, because }) =>
          [taken ? "parent" : "not", safe(`${tuningJobName}: ${because}`)] as const,
      ),
    ]).map((line) => `  ${line}`),
  ];
}
