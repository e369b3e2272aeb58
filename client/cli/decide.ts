/** `modelfleet approve` and `modelfleet deny`: decide about models that wait, several at a time. */
import { userInfo } from "node:os";
import type { Command } from "commander";
import { openConnections, type Connections } from "../connections.js";
import { decideModel } from "../decisions.js";
import { ClientError, messageOf, UsageError } from "../errors.js";
import { findCustomer } from "../ledger.js";
import { readModels, type Model } from "../models.js";
import { EXIT } from "./exit-codes.js";
import { wholeNumber, withExamples, withJson } from "./options.js";
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";
import { several } from "./words.js";

type Verdict = "approve" | "deny";

interface DecideFlags {
  readonly version?: number;
  readonly note?: string;
  readonly by?: string;
  readonly allPending?: true;
  readonly yes?: true;
  readonly json?: true;
}

export function configureApprove(command: Command, shell: Shell): void {
  configure(command, shell, "approve");
  withExamples(command, [
    "modelfleet approve flight-delays XNA ATL",
    'modelfleet approve flight-delays XNA --version 3 --note "checked by hand"',
    "modelfleet approve flight-delays --all-pending --yes",
  ]);
}

export function configureDeny(command: Command, shell: Shell): void {
  configure(command, shell, "deny");
  withExamples(command, [
    'modelfleet deny flight-delays XNA --note "too few flights in May"',
    'modelfleet deny flight-delays --all-pending --yes --note "wrong data in May"',
  ]);
}

function configure(command: Command, shell: Shell, verdict: Verdict): void {
  command
    .argument("<fleet>", "the fleet's name")
    .argument("[customer...]", "customers whose waiting model is decided")
    .option("--version <number>", "decide this version (one customer only)", wholeNumber)
    .option("--note <text>", verdict === "deny" ? "why (required)" : "why")
    .option("--by <name>", "who decides (default: your user name)")
    .option("--all-pending", "all models of the fleet that wait")
    .option("--yes", "do what --all-pending lists, instead of only listing it");
  withJson(command);
  command.action((fleet: string, customers: string[], flags: DecideFlags) =>
    decideAll(shell, verdict, { fleet, customers }, flags),
  );
}

async function decideAll(
  shell: Shell,
  verdict: Verdict,
  named: { fleet: string; customers: readonly string[] },
  flags: DecideFlags,
): Promise<void> {
  checkUsage(verdict, named.customers, flags);
  const connections = openConnections(shell.environment());
  try {
    const models = await wanted(connections, named, flags);
    if (models.length === 0) {
      if (flags.json) printJson(shell, { fleet: named.fleet, verdict, decided: [] });
      return say(shell, "nothing waits for a decision");
    }
    if (flags.allPending && !flags.yes) return preview(shell, verdict, named.fleet, models, flags);
    await carryOut(shell, connections, verdict, models, named.fleet, flags);
  } finally {
    await connections.close();
  }
}

function checkUsage(verdict: Verdict, customers: readonly string[], flags: DecideFlags): void {
  const tryHelp = `modelfleet ${verdict} --help`;
  if (verdict === "deny" && (flags.note ?? "").trim() === "") {
    throw new UsageError("a denial needs its reason", 'add --note "why"');
  }
  if (flags.allPending && customers.length > 0) {
    throw new UsageError("name customers or use --all-pending, not both", tryHelp);
  }
  if (!flags.allPending && customers.length === 0) {
    throw new UsageError("name the customers, or use --all-pending", tryHelp);
  }
  if (flags.version !== undefined && customers.length !== 1) {
    throw new UsageError("--version is about a single customer", tryHelp);
  }
}

async function wanted(
  connections: Connections,
  { fleet, customers }: { fleet: string; customers: readonly string[] },
  flags: DecideFlags,
): Promise<Model[]> {
  if (flags.allPending) return readModels(connections, { fleet, states: ["pending"] });
  const models: Model[] = [];
  for (const customer of customers) {
    models.push(await waitingModel(connections, fleet, customer, flags.version));
  }
  return models;
}

async function waitingModel(
  connections: Connections,
  fleet: string,
  customer: string,
  version: number | undefined,
): Promise<Model> {
  const known = await findCustomer(connections, { fleet, customer });
  const all = await readModels(connections, {
    fleet,
    customerKey: known.customerKey,
    allVersions: true,
  });
  const wanted =
    version === undefined
      ? all.find((model) => model.state === "pending")
      : all.find((model) => model.version === version);
  if (wanted !== undefined && wanted.state === "pending") return wanted;
  const newest = wanted ?? all[0];
  const stands =
    newest === undefined
      ? "it has no model yet"
      : `version ${newest.version} is ${newest.state}${newest.decidedBy === null ? "" : `, decided by ${newest.decidedBy}`}`;
  const what = version === undefined ? "nothing that waits" : `no version ${version} that waits`;
  throw new ClientError(
    `"${known.customer}" has ${what} for a decision: ${stands}`,
    `modelfleet models ${fleet} --customer ${known.customer}`,
  );
}

function preview(
  shell: Shell,
  verdict: Verdict,
  fleet: string,
  models: readonly Model[],
  flags: DecideFlags,
): void {
  if (flags.json) {
    return printJson(shell, { fleet, verdict, wouldDecide: models.map(nameOf) });
  }
  printLines(
    shell,
    models.map((model) => `  ${safe(model.customer)} version ${model.version}`),
  );
  say(shell, `${several(models.length, "model")} would be decided; add --yes to ${verdict} them`);
}

async function carryOut(
  shell: Shell,
  connections: Connections,
  verdict: Verdict,
  models: readonly Model[],
  fleet: string,
  flags: DecideFlags,
): Promise<void> {
  const by = flags.by ?? userInfo().username;
  const decision = { verdict, by, ...(flags.note === undefined ? {} : { note: flags.note }) };
  const decided = [];
  for (const model of models) {
    const name = nameOf(model);
    try {
      await decideModel(connections, { fleet, ...model }, decision);
      decided.push({ ...name, decided: true, by });
      if (!flags.json) printLines(shell, [lineOf(shell, verdict, model, by)]);
    } catch (error) {
      // One that is decided meanwhile must not keep the others from their decision.
      if (models.length === 1) throw error;
      shell.exit(EXIT.failed);
      decided.push({ ...name, decided: false, error: messageOf(error) });
      say(shell, `${shell.progressColors.red("error:")} ${messageOf(error)}`);
    }
  }
  if (flags.json) printJson(shell, { fleet, verdict, decided });
}

const nameOf = ({ customer, customerKey, version }: Model) => ({ customer, customerKey, version });

function lineOf(shell: Shell, verdict: Verdict, model: Model, by: string): string {
  const name = `${safe(model.customer)} version ${model.version}`;
  return verdict === "approve"
    ? `${shell.colors.green("approved")}  ${name} by ${by}; it is being published`
    : `${shell.colors.yellow("denied")}  ${name} by ${by}`;
}
