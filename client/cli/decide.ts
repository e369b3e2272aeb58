/** `modelfleet approve` and `modelfleet deny`: decide about models by name, about many at once, or about a cohort. */
import { userInfo } from "node:os";
import type { Command } from "commander";
import { openConnections, type Connections } from "../connections.js";
import { decideModel, type Decided } from "../decisions.js";
import { ClientError, messageOf, UsageError } from "../errors.js";
import { findCustomer } from "../ledger.js";
import { readModels, type Model } from "../models.js";
import type { DecideFlags, Verdict } from "./decide-flags.js";
import { EXIT } from "./exit-codes.js";
import { wholeNumber, withExamples, withJson } from "./options.js";
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";

export function configureApprove(command: Command, shell: Shell): void {
  configure(command, shell, "approve");
  withExamples(command, [
    "modelfleet approve flight-delays XNA ATL",
    'modelfleet approve flight-delays XNA --version 3 --note "checked by hand"',
    "modelfleet approve flight-delays --where 'improvement >= 2% and rmse < 40' --except-outliers",
    "modelfleet approve flight-delays --all-pending --sample 20",
    "modelfleet approve flight-delays --all-pending --yes",
    "modelfleet approve flight-delays XNA --stage prod",
    "modelfleet approve energy --cohort 2026-11-01 --except customer-17,customer-203",
    "modelfleet approve energy --cohort 2026-11-01 --stage prod",
  ]);
}

export function configureDeny(command: Command, shell: Shell): void {
  configure(command, shell, "deny");
  withExamples(command, [
    'modelfleet deny flight-delays XNA --note "too few flights in May"',
    'modelfleet deny flight-delays XNA --version 3 --note "wrong since Monday"',
    "modelfleet deny flight-delays --where 'test_rows < 50' --yes --note \"too few rows to tell\"",
    'modelfleet deny energy --version 3 --note "wrong weather data"',
  ]);
}

function configure(command: Command, shell: Shell, verdict: Verdict): void {
  const version =
    verdict === "deny"
      ? "decide this version of one customer, or of a cohort; one that serves is withdrawn"
      : "decide this version of one customer, or of a cohort";
  command
    .argument("<fleet>", "the fleet's name")
    .argument("[customer...]", "customers whose waiting model is decided")
    .option("--version <number>", version, wholeNumber)
    .option("--cohort <cycle>", "the cohort of this cycle, all its models at once")
    .option("--note <text>", verdict === "deny" ? "why (required)" : "why")
    .option("--by <name>", "who decides (default: your user name)")
    .option("--all-pending", "all models of the fleet that wait")
    .option("--where <condition>", "those that wait and match, such as 'improvement >= 2%'")
    .option("--except-outliers", "leave those whose figures deviate from the others for a look")
    .option("--sample <number>", "show only so many of them, spread over the range", wholeNumber)
    .option("--yes", "decide what --all-pending, --where or --cohort shows, without asking");
  if (verdict === "approve")
    command
      .option("--except <customers>", "leave these out of the cohort, set apart by commas")
      .option("--stage <name>", "approve what is on its way for this stage, which wants that");
  withJson(command);
  command.action((fleet: string, customers: string[], flags: DecideFlags) =>
    decideAll(shell, verdict, { fleet, customers }, flags),
  );
}

const inBulk = ({ allPending, where }: DecideFlags): boolean =>
  allPending === true || where !== undefined;

/** A sharded fleet's models, which have one version: named by it, or by the cycle that made them. */
const isAboutCohort = ({ cohort, version }: DecideFlags, customers: readonly string[]): boolean =>
  cohort !== undefined || (version !== undefined && customers.length === 0);

async function decideAll(
  shell: Shell,
  verdict: Verdict,
  named: { fleet: string; customers: readonly string[] },
  flags: DecideFlags,
): Promise<void> {
  checkUsage(verdict, named.customers, flags);
  const connections = openConnections(shell.environment());
  try {
    const decision = { verdict, by: flags.by ?? userInfo().username, ...noteOf(flags) };
    if (flags.stage !== undefined) {
      const { approveForStage } = await import("./approve-stage.js");
      const { stage, version, json } = flags;
      const wish = { ...named, cycle: flags.cohort, stage, version, by: decision.by };
      return await approveForStage(shell, connections, wish, json === true);
    }
    if (inBulk(flags)) {
      const { bulk } = await import("./bulk.js");
      return await bulk(shell, connections, named.fleet, decision, flags);
    }
    if (isAboutCohort(flags, named.customers)) {
      const { decideWhole } = await import("./decide-cohort.js");
      return await decideWhole(shell, connections, named.fleet, decision, flags);
    }
    const models: Model[] = [];
    for (const customer of named.customers)
      models.push(await openModel(connections, verdict, named.fleet, customer, flags));
    await carryOut(shell, connections, named.fleet, models, decision, flags);
  } finally {
    await connections.close();
  }
}

const hasOwnWords = ({ note, except }: DecideFlags): boolean =>
  note !== undefined || except !== undefined;

const noteOf = ({ note }: DecideFlags) => (note === undefined ? {} : { note });

function checkUsage(verdict: Verdict, customers: readonly string[], flags: DecideFlags): void {
  const tryHelp = `modelfleet ${verdict} --help`;
  if (verdict === "deny" && (flags.note ?? "").trim() === "") {
    throw new UsageError("a denial needs its reason", 'add --note "why"');
  }
  if (inBulk(flags) && customers.length > 0) {
    throw new UsageError("name customers, or use --all-pending or --where, not both", tryHelp);
  }
  const aboutCohort = isAboutCohort(flags, customers);
  if (
    flags.stage !== undefined &&
    ((customers.length === 0 && !aboutCohort) || inBulk(flags) || hasOwnWords(flags))
  )
    throw new UsageError(
      "--stage goes with customers' names or a cohort, and without --note and --except",
      tryHelp,
    );
  if (flags.cohort !== undefined && (customers.length > 0 || inBulk(flags)))
    throw new UsageError(
      "--cohort decides all its models at once: name neither customers nor --all-pending or --where with it",
      verdict === "approve" ? "leave customers out with --except" : tryHelp,
    );
  if (flags.except !== undefined && !aboutCohort)
    throw new UsageError("--except leaves customers out of a cohort", "add --cohort CYCLE");
  if (!inBulk(flags) && !aboutCohort && customers.length === 0) {
    throw new UsageError("name the customers, or use --cohort, --all-pending or --where", tryHelp);
  }
  if (!inBulk(flags) && (flags.exceptOutliers === true || flags.sample !== undefined)) {
    throw new UsageError(
      "--except-outliers and --sample go with --all-pending or --where",
      tryHelp,
    );
  }
  if (flags.sample === 0) throw new UsageError("--sample shows at least 1 model", tryHelp);
  if (flags.version !== undefined && (customers.length > 1 || inBulk(flags))) {
    throw new UsageError(
      "--version is about a single customer, or without one about a cohort",
      tryHelp,
    );
  }
}

/**
 * What waits; by its number, what is being published, serves or has served can be denied too. Not without: a denial that is
 * repeated by mistake would take the version before away as well.
 */
async function openModel(
  connections: Connections,
  verdict: Verdict,
  fleet: string,
  customer: string,
  { version }: DecideFlags,
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
  if (wanted?.state === "pending" && wanted.cohort !== null)
    throw partOf(fleet, wanted, wanted.cohort, verdict);
  const open = verdict === "deny" ? ["pending", "approved", "serving", "retired"] : ["pending"];
  if (wanted !== undefined && open.includes(wanted.state)) return wanted;
  const newest = wanted ?? all[0];
  const stands =
    newest === undefined
      ? "it has no model yet"
      : `version ${newest.version} is ${newest.state}${newest.decidedBy === null ? "" : `, decided by ${newest.decidedBy}`}`;
  const what = version === undefined ? "nothing that waits" : `no version ${version} that waits`;
  const deniable = verdict === "deny" && newest !== undefined && open.includes(newest.state);
  throw new ClientError(
    `"${known.customer}" has ${what} for a decision: ${stands}`,
    deniable
      ? `modelfleet deny ${fleet} ${known.customerKey} --version ${newest.version} --note "why" withdraws it`
      : `modelfleet models ${fleet} --customer ${known.customerKey}`,
  );
}

/** It has no decision of its own to be made. */
function partOf(
  fleet: string,
  { customer, customerKey, cycle }: Model,
  { version, members }: NonNullable<Model["cohort"]>,
  verdict: Verdict,
): ClientError {
  const whole = `modelfleet approve ${fleet} --cohort ${cycle}`;
  return new ClientError(
    `"${customer}" waits as one of the ${members} models of version ${version}, which are decided at once`,
    verdict === "approve"
      ? `${whole} approves them all; --except leaves some out`
      : `${whole} --except ${customerKey} leaves it out; modelfleet deny ${fleet} --cohort ${cycle} --note "why" denies all`,
  );
}

async function carryOut(
  shell: Shell,
  connections: Connections,
  fleet: string,
  models: readonly Model[],
  decision: { verdict: Verdict; by: string; note?: string },
  flags: DecideFlags,
): Promise<void> {
  const { verdict, by } = decision;
  const decided = [];
  for (const model of models) {
    const { customer, customerKey, version } = model;
    const name = { customer, customerKey, version };
    try {
      const answer = await decideModel(connections, { fleet, ...model }, decision);
      const { withdrawalWorkflowId = null } = answer;
      decided.push({ ...name, decided: true, by, withdrawalWorkflowId });
      if (!flags.json) printLines(shell, [lineOf(shell, model, answer)]);
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

function lineOf(shell: Shell, model: Model, answer: Decided): string {
  const name = `${safe(model.customer)} version ${model.version} by ${answer.by}`;
  if (answer.verdict === "approve")
    return `${shell.colors.green("approved")}  ${name}; it is being published`;
  const more =
    answer.withdrawalWorkflowId === undefined
      ? ""
      : `; it is being withdrawn (workflow ${answer.withdrawalWorkflowId})`;
  return `${shell.colors.yellow("denied")}  ${name}${more}`;
}
