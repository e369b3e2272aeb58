/** Prints an error: what happened, and what to do. Stacks are for `DEBUG=modelfleet`. */
import { hintOf, messageOf, UsageError } from "../errors.js";
import { FleetFileInvalid, type SpecIssue } from "../fleet-file-invalid.js";
import { EXIT } from "./exit-codes.js";
import type { Colors, Shell } from "./shell.js";

/** Returns the exit code. */
export function reportError(shell: Shell, error: unknown, debug: boolean): number {
  const colors = shell.progressColors;
  const lines = [`${colors.red("error:")} ${messageOf(error)}`];
  if (error instanceof FleetFileInvalid) lines.push(...issueLines(colors, error.issues));
  const hint = hintOf(error);
  if (hint !== undefined) lines.push(`  ${colors.cyan("try:")} ${hint}`);
  if (debug && error instanceof Error) lines.push(error.stack ?? "", causeOf(error));
  shell.stderr.write(`${lines.join("\n")}\n`);
  return error instanceof UsageError ? EXIT.wrongUsage : EXIT.failed;
}

export function issueLines(colors: Colors, issues: readonly SpecIssue[]): string[] {
  return issues.flatMap(({ field, value, problem, hint }) => {
    const name = colors.bold(field === "" ? "(the fleet)" : field);
    const found = value === undefined ? "" : ` ${colors.yellow(value)}`;
    const line = `  ${name}${found}: ${problem}`;
    return hint === undefined ? [line] : [line, `    ${colors.cyan("try:")} ${hint}`];
  });
}

function causeOf(error: Error): string {
  return error.cause instanceof Error ? (error.cause.stack ?? "") : "";
}
