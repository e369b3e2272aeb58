/** `modelfleet run`: retrains a fleet now, and follows the cycle to its end. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { openConnections, type Connections } from "../connections.js";
import { ClientError } from "../errors.js";
import { loadFleetFile } from "../fleet-file.js";
import { callerAccount } from "../health-aws.js";
import { findCycle, readCustomers, type Cycle } from "../ledger.js";
import { runCycle, type CycleRun } from "../run-cycle.js";
import { workflowPage } from "../settings.js";
import { EXIT } from "./exit-codes.js";
import { cycleReportLines, followCycle, sayHowToComeBack } from "./follow.js";
import { atTime, today, withExamples, withJson } from "./options.js";
import { printJson, printLines, say } from "./print.js";
import type { Shell } from "./shell.js";

interface RunFlags {
  readonly at?: string;
  readonly force?: true;
  readonly testing?: true;
  readonly detach?: true;
  readonly json?: true;
}

export function configureRun(command: Command, shell: Shell): void {
  command
    .argument("<fleetfile>", "the fleet file, or the folder that holds fleet.ts")
    .option(
      "--at <date>",
      "the time the cycle is for; its window ends there (default: today)",
      atTime,
    )
    .option("--force", "train unchanged customers too, and repeat a cycle that has completed")
    .option(
      "--testing",
      "one training job in place of each search, in a cycle of its own: shows that the whole path works",
    )
    .option("--detach", "start it and return at once");
  withJson(command);
  withExamples(command, [
    "modelfleet run examples/flights/fleet.ts --at 2013-07-01",
    "modelfleet run examples/flights/fleet.ts --testing",
    "modelfleet run fleets/churn.fleet.ts --detach",
  ]);
  command.action((file: string, flags: RunFlags) => run(shell, file, flags));
}

async function run(shell: Shell, file: string, flags: RunFlags): Promise<void> {
  const connections = openConnections(shell.environment());
  try {
    const loaded = await loadFleetFile(resolve(shell.directory, file), () =>
      callerAccount(connections),
    );
    const run = await runCycle(connections, loaded, {
      at: flags.at ?? today(),
      force: flags.force === true,
      testing: flags.testing === true,
    });
    sayHow(shell, run, flags);
    if (flags.detach === true && run.how !== "completed") {
      if (flags.json) printJson(shell, describeStart(connections, run));
      sayHowToComeBack(shell, run);
      return;
    }
    if (run.how !== "completed" && (await followed(shell, connections, run)) === false) return;
    await report(shell, connections, run, flags);
  } finally {
    await connections.close();
  }
}

function sayHow(shell: Shell, { how, fleet, cycle }: CycleRun, { detach }: RunFlags): void {
  if (how === "attached") {
    const then = detach === true ? "nothing was started" : "following it";
    say(shell, `cycle ${cycle} of ${fleet} is running already: ${then}`);
  }
  if (how === "completed") {
    say(shell, `cycle ${cycle} of ${fleet} has completed already; nothing was started`);
    say(
      shell,
      `  ${shell.progressColors.cyan("try:")} --force to run it again, or --at for another cycle`,
    );
  }
}

/** Whether it was followed to its end. */
async function followed(shell: Shell, connections: Connections, run: CycleRun): Promise<boolean> {
  const last = await followCycle(shell, connections, run);
  if (last === undefined) return false;
  if (last.failure !== undefined) {
    if (last.cycle === undefined) throw new ClientError(`the cycle failed: ${last.failure}`);
    shell.exit(EXIT.failed);
    if (last.cycle.reason === null) say(shell, `error: the cycle failed: ${last.failure}`);
  }
  return true;
}

async function report(
  shell: Shell,
  connections: Connections,
  run: CycleRun,
  flags: RunFlags,
): Promise<void> {
  const cycle = await findCycle(connections, run);
  if (cycle === undefined) throw new ClientError(`cycle ${run.cycle} is not in the ledger`);
  if (cycle.state === "failed" || cycle.state === "cancelled") shell.exit(EXIT.failed);
  if (flags.json) printJson(shell, await describeEnd(connections, run, cycle));
  else printLines(shell, await cycleReportLines(shell, connections, cycle));
}

function describeStart(connections: Connections, run: CycleRun) {
  const { how, ...rest } = run;
  return { ...rest, how, webPage: workflowPage(connections.environment, run) ?? null };
}

async function describeEnd(connections: Connections, run: CycleRun, cycle: Cycle) {
  const failed = await readCustomers(connections, { ...cycle, states: ["failed", "rejected"] });
  return {
    ...describeStart(connections, run),
    state: cycle.state,
    reason: cycle.reason,
    rows: cycle.rows,
    startedAt: cycle.startedAt,
    endedAt: cycle.endedAt,
    customers: cycle.customers,
    states: cycle.states,
    failures: failed.map(({ customer, state, errorType, reason }) => ({
      customer,
      state,
      errorType,
      reason,
    })),
  };
}
