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
import { carryOutDeletion, namedFields, type DeletionFlags } from "./deletion.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, say } from "./print.js";
import type { Shell } from "./shell.js";
import { several, size } from "./words.js";

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
  command.action(async (fleet: string, flags: DeletionFlags) => {
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
  flags: DeletionFlags,
): Promise<void> {
  const found = await inspectCollection(connections, fleet);
  if (found.retirementRefused !== null)
    say(shell, `${shell.progressColors.red("nobody is retired:")} ${found.retirementRefused}`);
  await carryOutDeletion(shell, flags, {
    ...{ of: fleet, found, lines: reportLines(shell, found), done: "collected" },
    nothing: isNothingCollectible(found)
      ? `${fleet} has nothing to collect: it keeps ${found.retention}`
      : null,
    agree: async () =>
      flags.yes === true ||
      confirm(shell, `Delete this of ${fleet}?`, `modelfleet gc ${fleet} --yes`),
    remove: () => collect(connections, { fleet, by: userInfo().username }),
  });
}

function reportLines(shell: Shell, found: CollectionReport): string[] {
  const weights = [
    ["artifacts", found.artifacts],
    ["datasets", found.datasets],
    ["stage copies", found.copies],
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
    ...fieldLines(shell, [
      ["kept", found.retention],
      ...namedFields([
        ["retired", found.retiring],
        ["versions", found.versions],
        ["configs", found.endpointConfigs],
        ["models", found.models],
      ]),
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
