/** Runs an example, from an empty folder or account to what its models answer; run again, its next cycle. */
import { stateWords } from "../client/cli/cycle-progress.js";
import { followCycle } from "../client/cli/follow.js";
import { say } from "../client/cli/print.js";
import type { Shell } from "../client/cli/shell.js";
import { several, windowTime } from "../client/cli/words.js";
import { openConnections, type Connections } from "../client/connections.js";
import { loadEnvironment } from "../client/environment.js";
import { UsageError } from "../client/errors.js";
import { loadFleetFile, type LoadedFleet } from "../client/fleet-file.js";
import { callerAccount } from "../client/health-aws.js";
import { readNewestCycles } from "../client/ledger.js";
import { runCycle, type CycleRun } from "../client/run-cycle.js";
import { workflowPage } from "../client/settings.js";
import { cycleId } from "../fleet/names.js";
import { stopStack } from "../local/stack/stop.js";
import type { Example, Settings } from "./example.js";
import { checkParts, loadData, startParts, startWorker } from "./parts.js";

export interface ExampleOptions {
  readonly settings: Settings;
  /** Stop the stack at the end. */
  readonly ephemeral: boolean;
  /** How the example is run, for what is told at its end. */
  readonly command: string;
}

/** Throws what it fails with, in words for a person. Ctrl-C while a cycle is followed leaves the cycle running. */
export async function runExample(
  shell: Shell,
  example: Example,
  options: ExampleOptions,
): Promise<void> {
  say(shell, shell.progressColors.bold(`modelfleet: ${example.title}\n`));
  if (process.env.MODELFLEET_ENV_FILE !== undefined) return runElsewhere(shell, example, options);
  try {
    await startParts(shell, example.accounts);
    loadEnvironment(process.env, shell.directory);
    await loadData(shell, example, options.settings);
    await startWorker(shell);
    await demonstrate(shell, example, options);
  } finally {
    if (options.ephemeral) await end(shell);
  }
}

/** With the settings that MODELFLEET_ENV_FILE names: on AWS, or on a stack that somebody else has started. */
async function runElsewhere(
  shell: Shell,
  example: Example,
  options: ExampleOptions,
): Promise<void> {
  if (options.ephemeral)
    throw new UsageError(
      "--ephemeral stops the local stack, and MODELFLEET_ENV_FILE names another",
      "leave it out",
    );
  loadEnvironment(process.env, shell.directory);
  await checkParts(shell);
  await loadData(shell, example, options.settings);
  await demonstrate(shell, example, options);
}

async function demonstrate(
  shell: Shell,
  example: Example,
  { settings, ephemeral, command }: ExampleOptions,
): Promise<void> {
  const connections = openConnections(process.env);
  try {
    for (;;) {
      const at = await nextCycle(connections, example);
      if (at === undefined) return sayThatDataEnds(shell, example, command);
      const loaded = await loadFleetFile(example.fleetFile, () => callerAccount(connections));
      await example.prepare?.({ shell, connections, loaded });
      const run = await retrain(shell, connections, loaded, at);
      if (run === undefined) return;
      const next = await example.show({ shell, connections, run, settings, ephemeral });
      if (next !== "again") return;
    }
  } finally {
    await connections.close();
  }
}

/** The cycle after the newest that completed; undefined when the data is not enough for one more. */
async function nextCycle(
  connections: Connections,
  { fleet, cycles }: Example,
): Promise<string | undefined> {
  const newest = (await readNewestCycles(connections)).find((cycle) => cycle.fleet === fleet);
  if (newest === undefined) return cycles[0];
  const place = cycles.findIndex((at) => cycleId(at) === newest.cycle);
  return cycles[newest.state === "completed" ? place + 1 : place];
}

/** Undefined when it was not followed to its end: Ctrl-C. */
async function retrain(
  shell: Shell,
  connections: Connections,
  loaded: LoadedFleet,
  at: string,
): Promise<CycleRun | undefined> {
  const run = await runCycle(connections, loaded, { at, force: false });
  const { floor, ceiling } = run.window;
  heading(
    shell,
    `Cycle ${run.cycle}`,
    `rows from ${windowTime(floor)} up to ${windowTime(ceiling)}, one model per ${loaded.spec.source.customer}`,
  );
  const last = await followCycle(shell, connections, run);
  if (last === undefined) return undefined;
  if (last.failure !== undefined) throw new Error(`the cycle failed: ${last.failure}`);
  const { green, dim } = shell.progressColors;
  const states = stateWords(last.states).join(", ");
  say(shell, `${green("✓")} ${several(last.customers, "customer")}: ${states}`);
  const page = workflowPage(process.env, { workflowId: run.workflowId });
  if (page !== undefined) say(shell, `  ${dim(page)}`);
  return run;
}

/** Begins a part of what an example shows. */
export function heading(shell: Shell, title: string, what: string): void {
  const { bold, dim } = shell.progressColors;
  say(shell, `\n${bold(title)}  ${dim(what)}`);
}

function sayThatDataEnds(shell: Shell, { fleet }: Example, command: string): void {
  say(
    shell,
    "\nEvery cycle that the data is enough for is done: there are no later rows to train on.",
  );
  say(shell, `  look back:   npx modelfleet history ${fleet}`);
  if (process.env.MODELFLEET_ENV_FILE === undefined)
    say(shell, `  start anew:  npx modelfleet local reset --yes && ${command}`);
  else say(shell, `  start anew:  npx modelfleet destroy ${fleet}, and the same again`);
}

async function end(shell: Shell): Promise<void> {
  await stopStack({ baseDir: shell.directory });
  say(shell, "\nthe stack is down again; its data stays in .modelfleet/local");
}
