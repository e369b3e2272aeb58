/** `modelfleet doctor`: is every part there, and how is what is not to be mended? */
import type { Command } from "commander";
import { openConnections } from "../connections.js";
import { checkHealth } from "../health.js";
import type { Check } from "../health-check.js";
import { EXIT } from "./exit-codes.js";
import { withExamples, withJson } from "./options.js";
import { printJson, printLines, say } from "./print.js";
import type { Shell } from "./shell.js";
import { several } from "./words.js";

export function configureDoctor(command: Command, shell: Shell): void {
  withJson(command);
  withExamples(command, ["modelfleet doctor", "modelfleet doctor --json"]);
  command.action(async (flags: { json?: true }) => {
    const connections = openConnections(shell.environment());
    try {
      const checks = await checkHealth(connections);
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

function checkLines(shell: Shell, checks: readonly Check[]): string[] {
  const { colors } = shell;
  const marks = { ok: colors.green("ok"), problem: colors.red("no"), note: colors.yellow("? ") };
  const width = Math.max(...checks.map(({ part }) => part.length));
  return checks.flatMap(({ part, state, found, mend }) => [
    `  ${marks[state]}  ${part.padEnd(width)}  ${found}`,
    ...(mend === undefined ? [] : [`      ${" ".repeat(width)}  ${colors.cyan("try:")} ${mend}`]),
  ]);
}
