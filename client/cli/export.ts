/** `modelfleet export`: writes all that the ledger knows of a fleet into its bucket. */
import type { Command } from "commander";
import type { ExportedFleet } from "../../fleet/rebuild.js";
import type { Environment } from "../settings.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines } from "./print.js";
import type { Shell } from "./shell.js";
import { localTime, several, size } from "./words.js";

/** worker/rebuild.ts's: only the command's main module may import the worker. */
export type ExportFleet = (environment: Environment, fleet: string) => Promise<ExportedFleet>;

export function configureExport(
  command: Command,
  shell: Shell,
  load: () => Promise<ExportFleet>,
): void {
  command
    .argument("<fleet>", "the fleet's name")
    .addHelpText(
      "after",
      "\nEvery cycle writes it at its end: by hand it is wanted before a ledger is moved or upgraded.",
    );
  withJson(command);
  withExamples(command, [
    "modelfleet export flight-delays",
    "modelfleet export flight-delays --json",
  ]);
  command.action(async (fleet: string, flags: { readonly json?: true }) => {
    const exportFleet = await load();
    const exported = await exportFleet({ ...shell.environment() }, fleet);
    if (flags.json) return printJson(shell, exported);
    printLines(shell, lines(shell, exported));
  });
}

function lines(shell: Shell, { fleet, place, writtenAt, rows, bytes }: ExportedFleet): string[] {
  const total = Object.values(rows).reduce((sum, one) => sum + one, 0);
  return [
    `${shell.colors.bold(fleet)}  ${shell.colors.green("exported")}`,
    "",
    ...fieldLines(shell, [
      [
        "lineage",
        `${several(total, "row")} of ${several(Object.keys(rows).length, "table")}, ${size(bytes)}`,
      ],
      ["place", place],
      ["as of", localTime(writtenAt)],
    ]),
  ];
}
