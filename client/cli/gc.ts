/** `modelfleet gc`: deletes what the fleet's retention no longer keeps, after showing it. */
import type { Command } from "commander";
import { userInfo } from "node:os";
import {
  collect,
  inspectCollection,
  isNothingCollectible,
  type CollectionReport,
} from "../collect.js";
import { openConnections, type Connections } from "../connections.js";
import { confirm } from "./confirm.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";
import { count, several, size } from "./words.js";

interface GcFlags {
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

export function configureGc(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .option("--dry-run", "only show what would go")
    .option("--yes", "do not ask; from cron, say");
  withJson(command);
  withExamples(command, [
    "modelfleet gc flight-delays --dry-run",
    "modelfleet gc flight-delays",
    "modelfleet gc flight-delays --yes --json",
  ]);
  command.action(async (fleet: string, flags: GcFlags) => {
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
  flags: GcFlags,
): Promise<void> {
  const found = await inspectCollection(connections, fleet);
  const told = { dryRun: flags.dryRun === true, collected: false };
  if (found.retirementRefused !== null)
    say(shell, `${shell.progressColors.red("nobody is retired:")} ${found.retirementRefused}`);
  if (isNothingCollectible(found)) {
    if (flags.json) printJson(shell, { ...found, ...told });
    return say(shell, `${fleet} has nothing to collect: it keeps ${found.retention}`);
  }
  if (!flags.json) printLines(shell, reportLines(shell, found));
  if (flags.dryRun) {
    if (flags.json) printJson(shell, { ...found, ...told });
    return say(shell, shell.progressColors.dim("nothing was changed"));
  }
  if (!flags.yes && !(await isConfirmed(shell, fleet))) return say(shell, "nothing was changed");
  say(shell, shell.progressColors.dim("deleting it; it goes on if you leave"));
  const collected = await collect(connections, { fleet, by: userInfo().username });
  if (flags.json) printJson(shell, { ...collected, ...told, collected: true });
  say(shell, `${shell.progressColors.green("collected")}  ${fleet}`);
}

const isConfirmed = (shell: Shell, fleet: string): Promise<boolean> =>
  confirm(shell, `Delete this of ${fleet}?`, `modelfleet gc ${fleet} --yes`);

function reportLines(shell: Shell, found: CollectionReport): string[] {
  const weights = [
    ["artifacts", found.artifacts],
    ["datasets", found.datasets],
    ["stage copies", found.copies],
  ] as const;
  const named = [
    ["retired", found.retiring],
    ["versions", found.versions],
    ["configs", found.endpointConfigs],
    ["models", found.models],
  ] as const;
  const packages =
    found.modelPackages === 0
      ? []
      : [
          [
            "packages",
            `${several(found.modelPackages, "model package")} without an approval`,
          ] as const,
        ];
  return [
    `${shell.colors.bold(found.fleet)}  ${shell.colors.red("all of this goes")}`,
    "",
    ...fieldLines(shell, [
      ["kept", found.retention],
      ...named
        .filter(([, { count: number }]) => number > 0)
        .map(([name, { count: number, names }]) => [name, nameLine(number, names)] as const),
      ...packages,
      ...weights
        .filter(([, weight]) => weight.count > 0)
        .map(
          ([name, weight]) =>
            [name, `${several(weight.count, "object")}, ${size(weight.bytes)}`] as const,
        ),
    ]),
    "",
    shell.colors.dim("  What serves, what it can go back to and where it came from stays."),
  ];
}

const SHOWN = 5;

function nameLine(number: number, names: readonly string[]): string {
  const shown = names.slice(0, SHOWN).map(safe).join(", ");
  const more = number - Math.min(SHOWN, names.length);
  return more > 0 ? `${count(number)}: ${shown} and ${count(more)} more` : `${number}: ${shown}`;
}
