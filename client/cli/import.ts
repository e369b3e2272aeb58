/** `modelfleet import`: rebuilds what a ledger that was lost knew of a fleet, after showing what that is. */
import { userInfo } from "node:os";
import type { Command } from "commander";
import type { RebuiltFleet } from "../../fleet/rebuild.js";
import type { Environment } from "../settings.js";
import { confirm } from "./confirm.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";
import { localTime, several } from "./words.js";

/** worker/rebuild.ts's: only the command's main module may import the worker. */
export type ImportFleet = (
  environment: Environment,
  order: {
    readonly fleet: string;
    readonly from: string | undefined;
    readonly by: string;
    readonly dryRun: boolean;
  },
) => Promise<RebuiltFleet>;

interface ImportFlags {
  readonly from?: string;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

export function configureImport(
  command: Command,
  shell: Shell,
  load: () => Promise<ImportFleet>,
): void {
  command
    .argument("<fleet>", "the fleet's name")
    .option("--from <place>", "a folder, or s3://BUCKET/FOLDER/, with a lineage that was exported")
    .option("--dry-run", "only show what would be written")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      "\nThe ledger must not know the fleet. End the workers first: what they do meanwhile would not find its rows.",
    );
  withJson(command);
  withExamples(command, [
    "modelfleet import flight-delays --dry-run",
    "modelfleet import flight-delays",
    "modelfleet import churn --from s3://backup/fleets/churn/lineage/ --yes",
  ]);
  command.action(async (fleet: string, flags: ImportFlags) => run(shell, load, fleet, flags));
}

async function run(
  shell: Shell,
  load: () => Promise<ImportFleet>,
  fleet: string,
  flags: ImportFlags,
): Promise<void> {
  const importFleet = await load();
  const environment = { ...shell.environment() };
  const order = { fleet, from: flags.from, by: userInfo().username };
  const asks = flags.dryRun === undefined && flags.yes === undefined;
  if (flags.dryRun || asks) {
    say(shell, shell.progressColors.dim("reading the lineage, the registry and the stages"));
    const found = await importFleet(environment, { ...order, dryRun: true });
    if (flags.dryRun && flags.json) printJson(shell, found);
    else if (!flags.json) printLines(shell, lines(shell, found));
    if (flags.dryRun) return say(shell, shell.progressColors.dim("nothing was changed"));
    const instead = `modelfleet import ${fleet} --yes`;
    if (!(await confirm(shell, `Rebuild ${fleet} in this ledger?`, instead)))
      return say(shell, "nothing was changed");
  }
  const rebuilt = await importFleet(environment, { ...order, dryRun: false });
  if (flags.json) printJson(shell, rebuilt);
  else if (!asks) printLines(shell, lines(shell, rebuilt));
  say(shell, `${shell.progressColors.green("rebuilt")}  ${fleet}; start the workers again`);
}

function lines(shell: Shell, found: RebuiltFleet): string[] {
  const { fleet, source, writtenAt, rows, since, lost } = found;
  const total = Object.values(rows).reduce((sum, one) => sum + one, 0);
  return [
    shell.colors.bold(fleet),
    "",
    ...fieldLines(shell, [
      ["lineage", `${several(total, "row")} of ${several(Object.keys(rows).length, "table")}`],
      ["place", source],
      ["as of", localTime(writtenAt)],
      ["decided since", several(since.decided, "version")],
      ["registered since", several(since.registered, "version")],
      ["served otherwise", several(since.served, "customer")],
    ]),
    ...(lost.length === 0 ? [] : ["", `Not to be had again (${lost.length})`]),
    ...lost.slice(0, SHOWN).map((sentence) => `  ${safe(sentence)}`),
    ...(lost.length > SHOWN ? [shell.colors.dim(`  and ${lost.length - SHOWN} more: --json`)] : []),
  ];
}

const SHOWN = 20;
