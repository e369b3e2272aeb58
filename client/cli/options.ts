/** Options that several commands share, and how their values are read. */
import { InvalidArgumentError, type Command } from "commander";
import { SpecError } from "../../fleet/errors.js";
import { parseTime } from "../../fleet/window.js";

export function withJson(command: Command): Command {
  return command.option("--json", "print one JSON document (fields: docs/reference/cli.md)");
}

export function withExamples(command: Command, examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ ${example}`);
  return command.addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

/** A time that a cycle is for, as ISO. */
export function atTime(value: string): string {
  try {
    return parseTime(value).toISOString();
  } catch (error) {
    if (error instanceof SpecError)
      throw new InvalidArgumentError(`${error.message}: ${error.hint}`);
    throw error;
  }
}

export function wholeNumber(value: string): number {
  if (/^\d{1,9}$/.test(value)) return Number(value);
  throw new InvalidArgumentError("give a whole number.");
}

/** Midnight UTC: a run without `--at` that is repeated on the same day is the same cycle. */
export function today(): string {
  return `${new Date().toISOString().slice(0, 10)}T00:00:00.000Z`;
}
