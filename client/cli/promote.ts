/** `modelfleet promote`: holds a version on its way through the stages, lets it go on, skips a stage, ends a lag. */
import { userInfo } from "node:os";
import type { Command } from "commander";
import type { PromotionCommand } from "../../fleet/promotion.js";
import { openConnections } from "../connections.js";
import { UsageError } from "../errors.js";
import { changePromotion, findPromotion } from "../promotion.js";
import { wholeNumber, withExamples, withJson } from "./options.js";
import { printJson, printLines, safe } from "./print.js";
import type { Shell } from "./shell.js";

interface PromoteFlags {
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
    .argument("<customer>", "the customer whose model is on its way")
    .option("--hold", "keep it out of further stages until it is released")
    .option("--release", "let what is held go on")
    .option("--skip <stage>", "never bring it into this stage")
    .option("--now", "do not wait for the rest of the lag")
    .option("--version <number>", "which version (default: the newest on its way)", wholeNumber)
    .option("--note <text>", "why, with --hold")
    .option("--by <name>", "who says so (default: your user name)");
  withJson(command);
  withExamples(command, [
    'modelfleet promote flight-delays XNA --hold --note "audit until Friday"',
    "modelfleet promote flight-delays XNA --release",
    "modelfleet promote flight-delays XNA --skip qa",
    "modelfleet promote flight-delays XNA --version 3 --now",
  ]);
  command.action((fleet: string, customer: string, flags: PromoteFlags) =>
    promote(shell, { fleet, customer }, flags),
  );
}

async function promote(
  shell: Shell,
  named: { fleet: string; customer: string },
  flags: PromoteFlags,
): Promise<void> {
  const command = commandOf(flags);
  const connections = openConnections(shell.environment());
  try {
    const version = flags.version === undefined ? {} : { version: flags.version };
    const model = await findPromotion(connections, { ...named, ...version });
    await changePromotion(connections, model, command);
    if (flags.json) return printJson(shell, { ...model, ...command });
    printLines(shell, [`${WORDS[command.kind]}  ${safe(model.customer)} version ${model.version}`]);
  } finally {
    await connections.close();
  }
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
