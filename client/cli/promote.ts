/** `modelfleet promote`: holds a version on its way through the stages, lets it go on, skips a stage, ends a lag. */
import { userInfo } from "node:os";
import type { Command } from "commander";
import type { PromotionCommand } from "../../fleet/promotion.js";
import { openConnections, type Connections } from "../connections.js";
import { UsageError } from "../errors.js";
import {
  changePromotion,
  findCohortPromotion,
  findPromotion,
  type PromotedCohort,
  type PromotedModel,
} from "../promotion.js";
import { wholeNumber, withExamples, withJson } from "./options.js";
import { printJson, printLines, safe } from "./print.js";
import type { Shell } from "./shell.js";
import { several } from "./words.js";

interface PromoteFlags {
  /** A cycle's id: its cohort. */
  readonly cohort?: string;
  readonly version?: number;
  readonly hold?: true;
  readonly release?: true;
  readonly skip?: string;
  readonly now?: true;
  readonly note?: string;
  readonly by?: string;
  readonly json?: true;
}

export function configurePromote(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .argument("[customer]", "the customer whose model is on its way")
    .option("--cohort <cycle>", "the cohort of this cycle, all its models at once")
    .option("--hold", "keep it out of further stages until it is released")
    .option("--release", "let what is held go on")
    .option("--skip <stage>", "never bring it into this stage")
    .option("--now", "do not wait for the rest of the lag")
    .option(
      "--version <number>",
      "which version of the customer (default: the newest on its way), or of a cohort",
      wholeNumber,
    )
    .option("--note <text>", "why, with --hold")
    .option("--by <name>", "who says so (default: your user name)");
  withJson(command);
  withExamples(command, [
    'modelfleet promote flight-delays XNA --hold --note "audit until Friday"',
    "modelfleet promote flight-delays XNA --release",
    "modelfleet promote flight-delays XNA --skip qa",
    "modelfleet promote flight-delays XNA --version 3 --now",
    'modelfleet promote energy --cohort 2026-11-01 --hold --note "audit until Friday"',
  ]);
  command.action((fleet: string, customer: string | undefined, flags: PromoteFlags) =>
    promote(shell, { fleet, customer }, flags),
  );
}

async function promote(
  shell: Shell,
  named: { readonly fleet: string; readonly customer: string | undefined },
  flags: PromoteFlags,
): Promise<void> {
  const command = commandOf(flags);
  checkNamed(named, flags);
  const connections = openConnections(shell.environment());
  try {
    const promoted = await find(connections, named, flags);
    await changePromotion(connections, promoted, command);
    if (flags.json) return printJson(shell, { ...promoted, ...command });
    const who =
      "customer" in promoted
        ? `${safe(promoted.customer)} version ${promoted.version}`
        : `version ${promoted.version}: ${several(promoted.members, "model")}`;
    printLines(shell, [`${WORDS[command.kind]}  ${who}`]);
  } finally {
    await connections.close();
  }
}

function checkNamed(
  { customer }: { readonly customer: string | undefined },
  { cohort, version }: PromoteFlags,
): void {
  const tryHelp = "modelfleet promote --help";
  if (customer !== undefined && cohort !== undefined)
    throw new UsageError("--cohort is about all its models at once: name no customer", tryHelp);
  if (customer === undefined && cohort === undefined && version === undefined)
    throw new UsageError("name the customer, or a cohort by --cohort or --version", tryHelp);
}

function find(
  connections: Connections,
  { fleet, customer }: { readonly fleet: string; readonly customer: string | undefined },
  { cohort, version }: PromoteFlags,
): Promise<PromotedModel | PromotedCohort> {
  const numbered = version === undefined ? {} : { version };
  if (customer !== undefined) return findPromotion(connections, { fleet, customer, ...numbered });
  const cycle = cohort === undefined ? {} : { cycle: cohort };
  return findCohortPromotion(connections, { fleet, ...cycle, ...numbered });
}

const WORDS: Readonly<Record<PromotionCommand["kind"], string>> = {
  hold: "held",
  release: "released",
  skip: "skips the stage",
  hurry: "hurried",
  "approve-stage": "approved",
};

function commandOf(flags: PromoteFlags): PromotionCommand {
  const { hold, release, skip, now, note } = flags;
  const by = flags.by ?? userInfo().username;
  const wishes: PromotionCommand[] = [
    ...(hold ? [{ kind: "hold", by, ...(note === undefined ? {} : { note }) } as const] : []),
    ...(release ? [{ kind: "release", by } as const] : []),
    ...(skip === undefined ? [] : [{ kind: "skip", stage: skip, by } as const]),
    ...(now ? [{ kind: "hurry", by } as const] : []),
  ];
  const [wish] = wishes;
  if (wish === undefined || wishes.length > 1)
    throw new UsageError(
      "say one thing about it: --hold, --release, --skip STAGE or --now",
      "modelfleet promote --help",
    );
  if (note !== undefined && hold !== true) throw new UsageError("--note goes with --hold");
  return wish;
}
