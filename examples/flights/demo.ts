/** `npm run demo`: one cycle of the flights fleet on this machine, from an empty folder to predictions. */
import { parseArgs } from "node:util";
import { openConnections, type Connections } from "../../client/connections.js";
import { loadEnvironment } from "../../client/environment.js";
import { loadFleetFile } from "../../client/fleet-file.js";
import { stateWords } from "../../client/cli/cycle-progress.js";
import { followCycle } from "../../client/cli/follow.js";
import { printLines, say } from "../../client/cli/print.js";
import { reportError } from "../../client/cli/report-error.js";
import { processShell, type Shell } from "../../client/cli/shell.js";
import { count, windowTime } from "../../client/cli/words.js";
import { cycleId } from "../../fleet/names.js";
import { runCycle, type CycleRun } from "../../client/run-cycle.js";
import { workflowPage } from "../../client/settings.js";
import { stopStack } from "../../local/stack/stop.js";
import { approveOneByHand, invokeSome, nextCycleTime } from "./demo-cycle.js";
import { denyWhatServes, planWayBack, type WayBack } from "./demo-way-back.js";
import { reportLines } from "./demo-report.js";
import { fleetFile, loadData, startParts, startWorker } from "./demo-setup.js";

const LAST_CYCLE = "2014-01-01";

async function main(shell: Shell): Promise<void> {
  const { values: flags } = parseArgs({
    options: { ephemeral: { type: "boolean", default: false } },
  });
  const { bold } = shell.progressColors;
  say(shell, bold("modelfleet: one model for each destination of New York's flights\n"));
  try {
    await startParts(shell);
    loadEnvironment(process.env, shell.directory);
    await loadData(shell);
    await startWorker(shell);
    await demonstrate(shell, flags.ephemeral);
  } finally {
    if (flags.ephemeral) await end(shell);
  }
}

async function demonstrate(shell: Shell, ephemeral: boolean): Promise<void> {
  const connections = openConnections(process.env);
  try {
    const at = await nextCycleTime(connections, LAST_CYCLE);
    if (at === undefined) return sayThatDataEnds(shell);
    const run = await retrain(shell, connections, at);
    if (run === undefined) return;
    heading(shell, "A decision by hand", "what the policy leaves open, a person decides");
    const approved = await approveOneByHand(shell, connections, run);
    heading(shell, "Predictions", "for flights that came after the data the models have seen");
    const answers = await invokeSome(shell, connections, run, approved);
    const wayBack = await goBack(shell, connections, run);
    const webPage = workflowPage(process.env, run);
    const outcome = { run, approved, answers, wayBack, webPage, ephemeral };
    printLines(shell, await reportLines(shell, connections, outcome));
  } finally {
    await connections.close();
  }
}

/** From the second cycle on, when there are versions to go back to. */
async function goBack(
  shell: Shell,
  connections: Connections,
  run: CycleRun,
): Promise<WayBack | undefined> {
  const plan = await planWayBack(connections, run);
  if (plan === undefined) return undefined;
  heading(shell, "The way back", "a version that serves is denied, and the one before returns");
  return denyWhatServes(shell, connections, plan);
}

/** Undefined when it did not come to its end: Ctrl-C, or a cycle that failed. */
async function retrain(
  shell: Shell,
  connections: Connections,
  at: string,
): Promise<CycleRun | undefined> {
  const loaded = await loadFleetFile(fleetFile());
  const run = await runCycle(connections, loaded, { at, force: false });
  const { floor, ceiling } = run.window;
  heading(
    shell,
    `Cycle ${cycleId(at)}`,
    `flights from ${windowTime(floor)} up to ${windowTime(ceiling)}, one model per destination`,
  );
  const last = await followCycle(shell, connections, run);
  if (last === undefined) return undefined;
  if (last.failure !== undefined) throw new Error(`the cycle failed: ${last.failure}`);
  const { green, dim } = shell.progressColors;
  const states = stateWords(last.states).join(", ");
  say(shell, `${green("✓")} ${count(last.customers)} destinations: ${states}`);
  const page = workflowPage(process.env, { workflowId: run.workflowId });
  if (page !== undefined) say(shell, `  ${dim(page)}`);
  return run;
}

export function heading(shell: Shell, title: string, what: string): void {
  const { bold, dim } = shell.progressColors;
  say(shell, `\n${bold(title)}  ${dim(what)}`);
}

function sayThatDataEnds(shell: Shell): void {
  say(shell, "\nEvery month of 2013 has had its cycle: there is no later data to train on.");
  say(shell, "  look back:   npx modelfleet history flight-delays");
  say(shell, "  start anew:  npx modelfleet local reset --yes && npm run demo");
}

async function end(shell: Shell): Promise<void> {
  await stopStack({ baseDir: shell.directory });
  say(shell, "\nthe stack is down again; its data stays in .modelfleet/local");
}

// The SDK is pinned: what its next versions will need is no news for who watches a demo.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
const shell = processShell(process);
try {
  await main(shell);
} catch (error) {
  shell.exit(reportError(shell, error, process.env.DEBUG?.includes("modelfleet") === true));
}
