/** Follows a cycle on the terminal until it ends; Ctrl-C only stops the following. */
import { dollars } from "../../fleet/cost-budget.js";
import { readCohorts, type Cohort } from "../cohorts.js";
import type { Connections } from "../connections.js";
import { readCycleCost } from "../costs.js";
import { readCustomers, type Cycle, type CycleCustomer } from "../ledger.js";
import { readRetired } from "../retirements.js";
import { workflowPage } from "../settings.js";
import { watchCycle, type CycleSnapshot } from "../watch-cycle.js";
import { cycleProgress, stateWords } from "./cycle-progress.js";
import { EXIT } from "./exit-codes.js";
import { safe, say } from "./print.js";
import type { Shell } from "./shell.js";
import { count, duration, several } from "./words.js";

export interface Followed {
  readonly fleet: string;
  readonly cycle: string;
  readonly workflowId: string;
  readonly runId?: string;
}

/** The last snapshot, or undefined when Ctrl-C ended the following. */
export async function followCycle(
  shell: Shell,
  connections: Connections,
  followed: Followed,
): Promise<CycleSnapshot | undefined> {
  const stop = new AbortController();
  const detach = () => stop.abort();
  // Not `once`: log-update ends the process when it finds no other listener left.
  process.on("SIGINT", detach);
  const progress = cycleProgress(shell, {
    fleet: followed.fleet,
    cycle: followed.cycle,
    // Without the run: it is shorter, and the page shows the newest run of the workflow.
    webPage: workflowPage(connections.environment, { workflowId: followed.workflowId }),
  });
  let last: CycleSnapshot | undefined;
  try {
    for await (const snapshot of watchCycle(connections, { ...followed, signal: stop.signal })) {
      last = snapshot;
      progress.update(snapshot);
    }
  } finally {
    process.removeListener("SIGINT", detach);
    progress.end(stop.signal.aborted);
  }
  if (!stop.signal.aborted) return last;
  sayHowToComeBack(shell, followed);
  shell.exit(EXIT.stillRunning);
  return undefined;
}

export function sayHowToComeBack(shell: Shell, { fleet, cycle }: Followed): void {
  say(shell, "the run goes on without this terminal");
  say(shell, `  look again:  modelfleet status ${fleet} --cycle ${cycle} --follow`);
  say(shell, `  end it:      modelfleet cancel ${fleet} --cycle ${cycle}`);
}

/** What a cycle came to, in a few lines. */
export async function cycleReportLines(
  shell: Shell,
  connections: Connections,
  cycle: Cycle,
): Promise<string[]> {
  const { colors } = shell;
  const { fleet } = cycle;
  const seconds =
    (Date.parse(cycle.endedAt ?? cycle.startedAt) - Date.parse(cycle.startedAt)) / 1000;
  const painted = cycle.state === "completed" ? colors.green(cycle.state) : colors.red(cycle.state);
  const rows = cycle.rows === null ? "" : ` · ${count(cycle.rows)} rows`;
  const lines = [
    `${colors.bold(fleet)} ${cycle.cycle} ${painted}${cycle.endedAt === null ? "" : ` in ${duration(seconds)}`}`,
    `  ${several(cycle.customers, "customer")}${rows}: ${stateWords(cycle.states, colors).join(" · ")}`,
  ];
  lines.push(...driftLines(shell, cycle));
  if (cycle.reason !== null) lines.push(`  ${colors.red(cycle.reason)}`);
  if (cycle.state === "failed" || cycle.state === "cancelled") {
    lines.push(
      `  ${colors.dim("run it again when that is mended: what is done is not done twice")}`,
    );
  }
  lines.push(...(await budgetLines(connections, cycle)));
  lines.push(...(await toldApart(shell, connections, cycle)));
  lines.push(...(await retiredLines(connections, cycle)));
  const cohorts = await readCohorts(connections, cycle);
  lines.push(...cohorts.map((cohort) => `  ${cohortWords(cohort)}`));
  const [waiting] = cohorts.filter(({ state }) => state === "pending");
  if (waiting !== undefined)
    lines.push(
      "",
      `  ${colors.dim("to decide:")} modelfleet approve ${fleet} --cohort ${cycle.cycle}`,
    );
  else if ((cycle.states.pending ?? 0) > 0)
    lines.push("", `  ${colors.dim("to decide:")} modelfleet models ${fleet} --pending`);
  return lines;
}

/** Of a cycle that drift has called for: the worst customer's figures, and where all are. */
function driftLines({ colors }: Shell, { fleet, cycle, drift }: Cycle): string[] {
  if (drift === null) return [];
  const { customer, because } = drift.worst;
  const others = drift.customers - 1;
  return [
    `  ${colors.dim("called for by drift:")} ${safe(customer)}: ${safe(because)}`,
    ...(others > 0 ? [`    and ${several(others, "more customer")}`] : []),
    `  ${colors.dim("all figures:")} modelfleet drift ${fleet} --run ${cycle}`,
  ];
}

/** Of a fleet with a budget. */
async function budgetLines(connections: Connections, cycle: Cycle): Promise<string[]> {
  const { budgetUsd, usd, openJobs } = await readCycleCost(connections, cycle);
  if (budgetUsd === null) return [];
  const open = openJobs === 0 ? "" : `, ${several(openJobs, "job")} not counted yet`;
  return [`  ${dollars(usd)} spent of ${dollars(budgetUsd)}${open}`];
}

/** Who has left the warehouse, and is served no more. */
async function retiredLines(connections: Connections, { fleet }: Cycle): Promise<string[]> {
  const retired = await readRetired(connections, { fleet });
  if (retired.length === 0) return [];
  const shown = retired.slice(0, SHOWN).map(({ customer }) => safe(customer));
  const more = retired.length - shown.length;
  return [
    "",
    `  Retired (${retired.length}): ${shown.join(", ")}${more > 0 ? ` and ${more} more` : ""}`,
  ];
}

function cohortWords({ version, members, state, decidedBy }: Cohort): string {
  const by = decidedBy === null ? "" : `, decided by ${safe(decidedBy)}`;
  return `version ${version} of all customers: ${several(members, "model")}, ${state}${by}`;
}

const SHOWN = 8;

/** Failed, rejected and skipped customers with their reasons: nobody is forgotten silently. */
async function toldApart(shell: Shell, connections: Connections, cycle: Cycle): Promise<string[]> {
  const states = ["failed", "rejected", "skipped"] as const;
  const told = await readCustomers(connections, { ...cycle, states });
  return states.flatMap((state) => {
    const customers = told.filter((customer) => customer.state === state);
    return customers.length === 0 ? [] : ["", ...reasonLines(shell, cycle.fleet, state, customers)];
  });
}

function reasonLines(
  shell: Shell,
  fleet: string,
  state: string,
  customers: readonly CycleCustomer[],
): string[] {
  const { colors } = shell;
  const title = `${state.charAt(0).toUpperCase()}${state.slice(1)}`;
  const painted = state === "skipped" ? colors.dim(title) : colors.red(title);
  const shown = customers.slice(0, SHOWN);
  const width = Math.max(...shown.map(({ customer }) => safe(customer).length));
  const lines = shown.map(({ customer, reason, errorType }) => {
    const why = [errorType, reason].filter((part) => part !== null).join(": ");
    return `    ${safe(customer).padEnd(width)}  ${safe(why)}`;
  });
  const more = customers.length - shown.length;
  if (more > 0)
    lines.push(colors.dim(`    and ${more} more: modelfleet status ${fleet} --customers`));
  return [`  ${painted} (${customers.length})`, ...lines];
}
