/** `modelfleet destroy`: takes down a fleet, or one of its stages, after showing everything that goes. */
import type { Command } from "commander";
import { userInfo } from "node:os";
import { openConnections, type Connections } from "../connections.js";
import { destroy, inspectFleet, isNothingLeft, type FleetInventory } from "../destroy.js";
import { ClientError } from "../errors.js";
import { findStage } from "../served-models.js";
import { confirmByName } from "./confirm.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";
import { count, several, size } from "./words.js";

interface DestroyFlags {
  readonly stage?: string;
  readonly dryRun?: true;
  readonly cancel?: true;
  readonly yes?: true;
  readonly json?: true;
}

export function configureDestroy(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .option("--stage <name>", "only what serves in this stage; models and what was decided stay")
    .option("--dry-run", "only show what would go")
    .option("--cancel", "end a cycle that runs; without it a running cycle is a reason to refuse")
    .option("--yes", "do not ask");
  withJson(command);
  withExamples(command, [
    "modelfleet destroy flight-delays --dry-run",
    "modelfleet destroy flight-delays",
    "modelfleet destroy churn --stage sandbox --yes",
  ]);
  command.action(async (fleet: string, flags: DestroyFlags) => {
    const connections = openConnections(shell.environment());
    try {
      await run(shell, connections, fleet, flags);
    } finally {
      await connections.close();
    }
  });
}

async function run(
  shell: Shell,
  connections: Connections,
  fleet: string,
  flags: DestroyFlags,
): Promise<void> {
  const stage =
    flags.stage === undefined
      ? undefined
      : await findStage(connections, { fleet, stage: flags.stage });
  const found = await inspectFleet(connections, { fleet, stage });
  const told = { dryRun: flags.dryRun === true, destroyed: false };
  if (isNothingLeft(found)) {
    if (flags.json) printJson(shell, { ...found, ...told });
    return say(shell, `there is nothing of ${nameOf(found)}`);
  }
  if (!flags.json) printLines(shell, inventoryLines(shell, found));
  if (flags.dryRun) {
    if (flags.json) printJson(shell, { ...found, ...told });
    return say(shell, shell.progressColors.dim("nothing was changed"));
  }
  if (found.cycles.length > 0 && !flags.cancel)
    throw new ClientError(
      `fleet "${fleet}" is being retrained: ${found.cycles.join(", ")}`,
      `wait for it, end it with modelfleet cancel ${fleet}, or destroy with --cancel`,
    );
  if (!flags.yes && !(await isConfirmed(shell, fleet))) return say(shell, "nothing was changed");
  say(shell, shell.progressColors.dim("taking it down; it goes on if you leave"));
  const by = userInfo().username;
  await destroy(connections, { fleet, stage, cancel: flags.cancel === true, by });
  if (flags.json) printJson(shell, { ...found, ...told, destroyed: true });
  say(shell, `${shell.progressColors.green("destroyed")}  ${nameOf(found)}`);
}

const nameOf = ({ fleet, stage }: FleetInventory): string =>
  stage === null ? fleet : `stage ${stage} of ${fleet}`;

const isConfirmed = (shell: Shell, fleet: string): Promise<boolean> =>
  confirmByName(shell, fleet, `modelfleet destroy ${fleet} --yes`);

function inventoryLines(shell: Shell, found: FleetInventory): string[] {
  const { objects, ledgerRows } = found;
  const rows = Object.values(ledgerRows).reduce((sum, one) => sum + one, 0);
  const kinds = [
    ["endpoints", found.endpoints],
    ["configs", found.endpointConfigs],
    ["models", found.models],
    ["package groups", found.modelPackageGroups],
    ["workflows", found.workflows],
  ] as const;
  const fields = kinds
    .filter(([, { count: number }]) => number > 0)
    .map(([name, { count: number, names }]) => [name, nameLine(number, names)] as const);
  return [
    `${shell.colors.bold(nameOf(found))}  ${shell.colors.red("all of this goes")}`,
    "",
    ...fieldLines(shell, [
      ...fields,
      ["objects", `${count(objects.count)} under ${objects.prefix}, ${size(objects.bytes)}`],
      ...(found.hasSchedule ? [["schedule", "its Temporal Schedule"] as const] : []),
      found.stage === null
        ? ["ledger", several(rows, "row")]
        : ["ledger", "what it serves; models and decisions stay"],
    ]),
    "",
    shell.colors.dim("  Training jobs and logs stay in AWS, which lets nobody delete them."),
  ];
}

const SHOWN = 5;

function nameLine(number: number, names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).map(safe).join(", ");
  const more = number - Math.min(SHOWN, names.length);
  return more > 0 ? `${count(number)}: ${shown} and ${count(more)} more` : `${number}: ${shown}`;
}
