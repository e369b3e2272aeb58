/** `modelfleet accounts plan|apply`: what a fleet's stages need in each AWS account, and making what is missing. */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { applyAccounts, planAccounts, type AccountsPlan, type AccountStep } from "../accounts.js";
import { openConnections, type Connections } from "../connections.js";
import { loadFleetFile } from "../fleet-file.js";
import { callerAccount } from "../health-aws.js";
import { confirm } from "./confirm.js";
import { EXIT } from "./exit-codes.js";
import { withExamples, withJson } from "./options.js";
import { printJson, printLines, safe, say } from "./print.js";
import { progressLine } from "./progress-line.js";
import type { Shell } from "./shell.js";
import { several } from "./words.js";

interface AccountsFlags {
  readonly yes?: true;
  readonly json?: true;
}

const FLEET_FILE = "the fleet file, or the folder that holds fleet.ts";

export function configureAccounts(command: Command, shell: Shell): void {
  const examples = ["modelfleet accounts plan fleet.ts", "modelfleet accounts apply fleet.ts"];
  withExamples(command, examples);
  const plan = command
    .command("plan")
    .description("print what is missing in each account, and change nothing")
    .argument("<fleetfile>", FLEET_FILE);
  withJson(plan);
  withExamples(plan, ["modelfleet accounts plan fleet.ts", "modelfleet accounts plan . --json"]);
  plan.action((file: string, flags: AccountsFlags) => run(shell, file, { ...flags, plan: true }));
  const apply = command
    .command("apply")
    .description("make exactly what is missing, after showing it")
    .argument("<fleetfile>", FLEET_FILE)
    .option("--yes", "do not ask");
  withJson(apply);
  withExamples(apply, ["modelfleet accounts apply fleet.ts --yes"]);
  apply.action((file: string, flags: AccountsFlags) => run(shell, file, { ...flags, plan: false }));
}

async function run(
  shell: Shell,
  file: string,
  flags: AccountsFlags & { readonly plan: boolean },
): Promise<void> {
  const connections = openConnections(shell.environment());
  try {
    const { spec } = await loadFleetFile(resolve(shell.directory, file), () =>
      callerAccount(connections),
    );
    const plan = await look(shell, connections, spec);
    if (!flags.json) printLines(shell, planLines(shell, plan));
    const wanted = !flags.plan && plan.steps.length > 0;
    const agreed = wanted && (flags.yes === true || (await ask(shell, plan, file)));
    if (agreed)
      await applyAccounts(connections, spec, plan, (step) =>
        say(shell, `${shell.progressColors.green("made")}  ${stepText(step)}`),
      );
    if (flags.json) printJson(shell, { ...plan, ...(!flags.plan && { applied: agreed }) });
    if (wanted && !agreed) say(shell, "nothing was changed");
    if (plan.problems.length > 0 || (wanted && !agreed)) shell.exit(EXIT.failed);
  } finally {
    await connections.close();
  }
}

/** Thousands of customers have as many model package groups, which take minutes. */
async function look(
  shell: Shell,
  connections: Connections,
  spec: FleetSpec,
): Promise<AccountsPlan> {
  const progress = progressLine(shell);
  try {
    return await planAccounts(connections, spec, {
      onLooked: (groups) =>
        progress.tell((seconds) => {
          const rate = (groups / seconds).toFixed(0);
          return `${several(groups, "model package group")} looked at, ${rate} a second`;
        }),
    });
  } finally {
    progress.end();
  }
}

const ask = (shell: Shell, { steps }: AccountsPlan, file: string): Promise<boolean> =>
  confirm(
    shell,
    `Make ${steps.length === 1 ? "it" : `these ${steps.length}`}?`,
    `modelfleet accounts apply ${file} --yes, or modelfleet accounts plan ${file} to look`,
  );

/** By account: what is missing, and what keeps it from being looked at. */
export function planLines(shell: Shell, plan: AccountsPlan): string[] {
  const { colors } = shell;
  const { fleet, home, steps, problems } = plan;
  const accounts = new Set([home, ...plan.stages.map(({ account }) => account)]);
  const state =
    steps.length > 0
      ? `${several(steps.length, "thing")} missing`
      : problems.length > 0
        ? several(problems.length, "problem")
        : "nothing is missing";
  const lines = [`${colors.bold(fleet)}  ${state} in ${several(accounts.size, "account")}`];
  for (const account of accounts) {
    const stages = plan.stages.filter((one) => one.account === account).map(({ stage }) => stage);
    const what = [...(account === home ? ["home"] : []), ...stages].join(", ");
    lines.push("", `  ${colors.bold(account)}  ${colors.dim(what)}`);
    const missing = missingTexts(steps.filter((step) => step.account === account));
    lines.push(...missing.map((text) => `    ${colors.yellow("+")} ${text}`));
    const wrong = problems.filter((problem) => problem.account === account);
    for (const { found, mend } of wrong) {
      lines.push(`    ${colors.red("no")} ${safe(found)}`);
      if (mend !== undefined) lines.push(`       ${colors.cyan("try:")} ${safe(mend)}`);
    }
    for (const { found, mend } of plan.notes.filter((note) => note.account === account)) {
      lines.push(`    ${colors.yellow("? ")} ${safe(found)}`);
      if (mend !== undefined) lines.push(`       ${colors.cyan("try:")} ${safe(mend)}`);
    }
    if (missing.length + wrong.length === 0) lines.push(`    ${colors.green("ok")}`);
  }
  return lines;
}

/** Of the groups of a thousand customers, which all lack the same, one line. */
function missingTexts(steps: readonly AccountStep[]): string[] {
  const groups = steps.flatMap((step) => (step.kind === "group-policy" ? [step] : []));
  const [first, second] = groups;
  if (first === undefined || second === undefined) return steps.map(stepText);
  const alike = groups.filter((one) => statementsText(one) === statementsText(first));
  const told = new Set<AccountStep>(alike);
  const apart = steps.filter((step) => !told.has(step));
  const names = alike.slice(0, NAMED_GROUPS).map(({ name }) => name);
  const more = alike.length > names.length ? `, … ${alike.length - names.length} more` : "";
  return [
    ...apart.map(stepText),
    `policies of ${several(alike.length, "model package group")} (${names.join(", ")}${more}): ${statementsText(first)}`,
  ];
}

const NAMED_GROUPS = 3;

/** One thing that is missing. */
export function stepText(step: AccountStep): string {
  switch (step.kind) {
    case "bucket":
      return `bucket ${step.name}`;
    case "bucket-versioning":
      return `versioning of bucket ${step.name}`;
    case "bucket-public-access":
      return `public access block of bucket ${step.name}`;
    case "bucket-policy":
      return `policy of bucket ${step.name}: ${statementsText(step)}`;
    case "group-policy":
      return `policy of model package group ${step.name}: ${statementsText(step)}`;
  }
}

const statementsText = ({
  adds,
  replaces,
}: Extract<AccountStep, { readonly adds: readonly string[] }>): string =>
  [...adds.map((sid) => `add ${sid}`), ...replaces.map((sid) => `replace ${sid}`)].join(", ");
