/** `npm run example -- NAME`: any of the examples, set-up included; with MODELFLEET_ENV_FILE, on the stack that it names. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Command, CommanderError, InvalidArgumentError } from "commander";
import { printLines } from "../client/cli/print.js";
import { reportError } from "../client/cli/report-error.js";
import { processShell, type Shell } from "../client/cli/shell.js";
import { UsageError } from "../client/errors.js";
import { nearest } from "../client/nearest.js";
import type { Example, Settings } from "./example.js";
import { runExample } from "./run-example.js";

interface Flags {
  readonly ephemeral?: boolean;
  readonly set?: Settings;
}

const command = new Command("npm run example --")
  .description(
    "Runs an example on this machine, or on AWS; again: its next cycle. Without a name: lists them.",
  )
  .argument("[name]", "a folder of examples/")
  .option("--ephemeral", "stop the stack at the end; its data stays")
  .option("--set <name=value>", "change one of the example's settings; may be repeated", setting)
  .exitOverride()
  .addHelpText(
    "after",
    `
Examples:
  npm run example                                     what there is, with its settings
  npm run example -- housing
  npm run example -- energy --set customers=50
  MODELFLEET_ENV_FILE=aws.env npm run example -- housing    on AWS: docs/aws.md`,
  );

async function main(shell: Shell): Promise<void> {
  command.parse(process.argv);
  const [name] = command.args;
  const flags = command.opts<Flags>();
  const names = exampleNames();
  if (name === undefined) return printLines(shell, await listLines(names));
  const example = await findExample(name, names);
  const settings = settingsOf(name, example, flags.set ?? {});
  await runExample(shell, example, {
    settings,
    ephemeral: flags.ephemeral === true,
    command: `npm run example -- ${name}`,
  });
}

/** Folders beside this file that hold an example. */
const exampleNames = (): string[] =>
  readdirSync(import.meta.dirname, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(moduleOf(entry.name)))
    .map((entry) => entry.name)
    .sort();

const moduleOf = (name: string): string => join(import.meta.dirname, name, "example.js");

async function findExample(name: string, names: readonly string[]): Promise<Example> {
  if (names.includes(name)) return loadExample(name);
  const close = nearest(name, names);
  throw new UsageError(
    `there is no example ${name}`,
    close === undefined ? `there are ${names.join(", ")}` : `did you mean ${close}?`,
  );
}

async function loadExample(name: string): Promise<Example> {
  const module = (await import(pathToFileURL(moduleOf(name)).href)) as { example: Example };
  return module.example;
}

async function listLines(names: readonly string[]): Promise<string[]> {
  const width = Math.max(...names.map((name) => name.length));
  const lines = await Promise.all(
    names.map(async (name) => {
      const { title, settings } = await loadExample(name);
      const set = Object.entries(settings).map(([key, value]) => `--set ${key}=${value}`);
      return `  ${name.padEnd(width)}  ${[title, ...set].join("  ")}`;
    }),
  );
  return ["npm run example -- NAME", "", ...lines];
}

function setting(text: string, before: Settings = {}): Settings {
  const [, name = "", value = ""] = /^([a-zA-Z]+)=(\d+)$/.exec(text) ?? [];
  if (name === "")
    throw new InvalidArgumentError("a name and a whole number, such as customers=50");
  return { ...before, [name]: Number(value) };
}

function settingsOf(name: string, { settings }: Example, wanted: Settings): Settings {
  const unknown = Object.keys(wanted).find((key) => !Object.hasOwn(settings, key));
  if (unknown === undefined) return { ...settings, ...wanted };
  const known = Object.keys(settings);
  throw new UsageError(
    `the example ${name} has no setting ${unknown}`,
    known.length === 0 ? "it has none" : `it has ${known.join(", ")}`,
  );
}

// The SDK is pinned: what its next versions will need is no news for who watches an example.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
const shell = processShell(process);
try {
  await main(shell);
} catch (error) {
  if (error instanceof CommanderError) shell.exit(error.exitCode === 0 ? 0 : 2);
  else shell.exit(reportError(shell, error, process.env.DEBUG?.includes("modelfleet") === true));
}
