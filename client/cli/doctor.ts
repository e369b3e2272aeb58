/** `modelfleet doctor`: is every part there, and how is what is not to be mended? */
import { resolve } from "node:path";
import type { Command } from "commander";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { openConnections, type Connections } from "../connections.js";
import { loadFleetFile } from "../fleet-file.js";
import { checkHealth } from "../health.js";
import { callerAccount } from "../health-aws.js";
import type { Check } from "../health-check.js";
import { EXIT } from "./exit-codes.js";
import { withExamples, withJson } from "./options.js";
import { printJson, printLines, say } from "./print.js";
import type { Shell } from "./shell.js";
import { several } from "./words.js";

export function configureDoctor(command: Command, shell: Shell): void {
  withJson(command);
  command.argument("[fleetfile]", "a fleet whose stages are looked at before its first cycle, too");
  withExamples(command, [
    "modelfleet doctor",
    "modelfleet doctor fleet.ts",
    "modelfleet doctor --json",
  ]);
  command.action(async (file: string | undefined, flags: { json?: true }) => {
    const connections = openConnections(shell.environment());
    try {
      const declared = file === undefined ? [] : [await specOf(shell, connections, file)];
      const checks = await checkHealth(connections, declared);
      const problems = checks.filter((check) => check.state === "problem").length;
      if (flags.json) printJson(shell, { healthy: problems === 0, checks });
      else printLines(shell, checkLines(shell, checks));
      if (problems === 0) return;
      if (!flags.json) say(shell, `\n  ${several(problems, "problem")}`);
      shell.exit(EXIT.failed);
    } finally {
      await connections.close();
    }
  });
}

async function specOf(shell: Shell, connections: Connections, file: string): Promise<FleetSpec> {
  const path = resolve(shell.directory, file);
  return (await loadFleetFile(path, () => callerAccount(connections))).spec;
}

/** A line for each part, and under it how to mend what is wrong. */
export function checkLines(shell: Shell, checks: readonly Check[]): string[] {
  const { colors } = shell;
  const marks = { ok: colors.green("ok"), problem: colors.red("no"), note: colors.yellow("? ") };
  const width = Math.max(...checks.map(({ part }) => part.length));
  return checks.flatMap(({ part, state, found, mend }) => [
    `  ${marks[state]}  ${part.padEnd(width)}  ${found}`,
    ...(mend === undefined ? [] : [`      ${" ".repeat(width)}  ${colors.cyan("try:")} ${mend}`]),
  ]);
}
