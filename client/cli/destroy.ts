/** `modelfleet destroy`: takes down a fleet, or one of its stages, after showing everything that goes. */
import type { Command } from "commander";
import { userInfo } from "node:os";
import { openConnections, type Connections } from "../connections.js";
import { destroy, inspectFleet, isNothingLeft, type FleetInventory } from "../destroy.js";
import { ClientError } from "../errors.js";
import { findStage } from "../served-models.js";
import { confirmByName } from "./confirm.js";
import { carryOutDeletion, namedFields, type DeletionFlags } from "./deletion.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines } from "./print.js";
import type { Shell } from "./shell.js";
import { count, several, size } from "./words.js";

interface DestroyFlags extends DeletionFlags {
  readonly stage?: string;
  readonly cancel?: true;
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
  const by = userInfo().username;
  await carryOutDeletion(shell, flags, {
    ...{ of: nameOf(found), found, lines: inventoryLines(shell, found), done: "destroyed" },
    nothing: isNothingLeft(found) ? `there is nothing of ${nameOf(found)}` : null,
    agree: async () => {
      if (!flags.cancel) assertIdle(found);
      return flags.yes === true || confirmByName(shell, fleet, `modelfleet destroy ${fleet} --yes`);
    },
    remove: async () => {
      await destroy(connections, { fleet, stage, cancel: flags.cancel === true, by });
      return found;
    },
  });
}

function assertIdle({ fleet, cycles }: FleetInventory): void {
  if (cycles.length > 0)
    throw new ClientError(
      `fleet "${fleet}" is being retrained: ${cycles.join(", ")}`,
      `wait for it, end it with modelfleet cancel ${fleet}, or destroy with --cancel`,
    );
}

const nameOf = ({ fleet, stage }: FleetInventory): string =>
  stage === null ? fleet : `stage ${stage} of ${fleet}`;

function inventoryLines(shell: Shell, found: FleetInventory): string[] {
  const { objects, ledgerRows } = found;
  const rows = Object.values(ledgerRows).reduce((sum, one) => sum + one, 0);
  return [
    ...fieldLines(shell, [
      ...namedFields([
        ["endpoints", found.endpoints],
        ["configs", found.endpointConfigs],
        ["models", found.models],
        ["package groups", found.modelPackageGroups],
        ["workflows", found.workflows],
      ]),
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
