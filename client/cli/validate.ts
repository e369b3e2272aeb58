/** `modelfleet validate`: all that is wrong with fleet files, before anything is done with them. */
import { readdir, stat } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import type { Command } from "commander";
import { ENDPOINT_QUOTA_HINT, endpointQuotaRefusals } from "../../fleet/endpoint-quota.js";
import { cycleWindow } from "../../fleet/window.js";
import { anyAccount, loadFleetFile, type LoadedFleet } from "../fleet-file.js";
import { FleetFileInvalid, type SpecIssue } from "../fleet-file-invalid.js";
import { checkColumns } from "../query-check.js";
import { imageIssues } from "../image-check.js";
import { hintOf, messageOf, UsageError } from "../errors.js";
import { checkCustomersQuery, countRows, queryColumns, QueryRefused } from "../warehouse.js";
import { EXIT } from "./exit-codes.js";
import { withExamples, withJson } from "./options.js";
import { printJson, printLines } from "./print.js";
import { issueLines } from "./report-error.js";
import type { Shell } from "./shell.js";
import { several } from "./words.js";

interface Checked {
  readonly file: string;
  readonly fleet?: string;
  readonly issues: readonly SpecIssue[];
}

export function configureValidate(command: Command, shell: Shell): void {
  command
    .argument("<path...>", "fleet files, or folders: every fleet.ts and *.fleet.ts in them")
    .option("--offline", "do not ask the warehouse whether the query and its columns are right");
  withJson(command);
  withExamples(command, [
    "modelfleet validate examples/flights/fleet.ts",
    "modelfleet validate fleets/ --offline",
  ]);
  command.action((paths: string[], options: { offline?: true; json?: true }) =>
    validate(shell, paths, options),
  );
}

async function validate(
  shell: Shell,
  paths: readonly string[],
  options: { offline?: true; json?: true },
): Promise<void> {
  const files = (await Promise.all(paths.map(fleetFiles))).flat();
  if (files.length === 0) throw new UsageError(`no fleet files in ${paths.join(", ")}`);
  const loaded = await Promise.all(
    files.map((file) => checkFile(shell, file, options.offline === true)),
  );
  const checked = loaded.map((one) => withDuplicates(one, loaded));
  const valid = checked.every(({ issues }) => issues.length === 0);
  if (options.json) printJson(shell, { valid, files: checked });
  else
    printLines(
      shell,
      checked.flatMap((one) => resultLines(shell, one, options.offline)),
    );
  if (!valid) shell.exit(EXIT.failed);
}

async function fleetFiles(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return [path]; // A missing file is told when it is loaded.
  const names = await readdir(path, { recursive: true });
  return names
    .filter((name) => /(^|[\\/])([^\\/]+\.)?fleet\.ts$/.test(name))
    .filter((name) => !/(^|[\\/])(node_modules|dist|\.[^\\/]+)[\\/]/.test(name))
    .sort()
    .map((name) => join(path, name));
}

async function checkFile(shell: Shell, file: string, offline: boolean): Promise<Checked> {
  try {
    const loaded = await loadFleetFile(resolve(shell.directory, file), anyAccount);
    const issues = imageIssues(loaded.spec, shell.environment());
    if (!offline) issues.push(...(await askWarehouse(shell, loaded)));
    return { file, fleet: loaded.spec.name, issues };
  } catch (error) {
    if (error instanceof FleetFileInvalid) return { file, issues: error.issues };
    return { file, issues: [{ field: "", problem: messageOf(error), ...hint(error) }] };
  }
}

async function askWarehouse(shell: Shell, { spec }: LoadedFleet): Promise<SpecIssue[]> {
  const { source, gate, drift, endpoint } = spec;
  const window = cycleWindow(source.window, new Date().toISOString());
  let asked = "source.query";
  try {
    const columns = await queryColumns(shell.environment(), source, window);
    const issues = checkColumns(source, columns, gate.segments, drift?.ignore);
    asked = "source.customers";
    await checkCustomersQuery(shell.environment(), source, window);
    // Only then: it reads every row of the window.
    if (issues.length > 0 || endpoint.kind !== "serverless") return issues;
    asked = "source.query";
    const customers = await countRows(shell.environment(), source, window);
    const modelled = customers.filter(({ rows }) => rows >= source.minimumRows);
    return endpointQuotaRefusals(endpoint, modelled.length).map((problem) => ({
      ...{ field: "endpoint", problem, hint: ENDPOINT_QUOTA_HINT },
    }));
  } catch (error) {
    const field = error instanceof QueryRefused ? asked : "source.connection";
    return [{ field, problem: messageOf(error), ...hint(error) }];
  }
}

/** Two files that declare one fleet would write over each other's models. */
function withDuplicates(one: Checked, all: readonly Checked[]): Checked {
  const same = all.filter((other) => other.fleet !== undefined && other.fleet === one.fleet);
  if (same.length < 2) return one;
  const others = same.filter((other) => other !== one).map(({ file }) => file);
  const issue: SpecIssue = {
    field: "name",
    value: JSON.stringify(one.fleet),
    problem: `is also the name of the fleet in ${others.join(", ")}`,
    hint: "every fleet needs a name of its own",
  };
  return { ...one, issues: [...one.issues, issue] };
}

function resultLines(shell: Shell, checked: Checked, offline = false): string[] {
  const { colors } = shell;
  const file = relative(shell.directory, resolve(shell.directory, checked.file)) || checked.file;
  if (checked.issues.length === 0) {
    const asked = offline ? " (the warehouse was not asked)" : "";
    return [`${colors.green("ok")}  ${file}  ${checked.fleet ?? ""}${colors.dim(asked)}`];
  }
  const found = several(checked.issues.length, "error");
  return [`${colors.red("no")}  ${file}  ${found}`, ...issueLines(colors, checked.issues)];
}

function hint(error: unknown): { hint?: string } {
  const told = hintOf(error);
  return told === undefined ? {} : { hint: told };
}
