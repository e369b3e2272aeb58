/** The peers' Python packages, in a virtual environment of the benchmarks' own, kept in the user's cache folder. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../local/stack/cache-folder.js";
import { findPython } from "../local/stack/find-python.js";
import { runCommand } from "../local/stack/run-command.js";

export interface BenchPython {
  readonly executable: string;
  /** Exact versions by package, as installed. */
  readonly versions: Readonly<Record<string, string>>;
}

const requirements = join(import.meta.dirname, "requirements.txt");
const wanted = ["prefect", "pandas", "psycopg", "fastapi", "uvicorn", "xgboost-cpu"];

export async function benchPython(tell: (line: string) => void): Promise<BenchPython> {
  const text = readFileSync(requirements, "utf8");
  const hash = createHash("sha256").update(`${process.platform} ${process.arch} ${text}`);
  const cache = cacheFolder(process.env);
  const folder = join(cache, `bench-python-${hash.digest("hex").slice(0, 16)}`);
  if (!existsSync(join(folder, "bin", "python"))) await build(cache, folder, tell);
  return { executable: join(folder, "bin", "python"), versions: pinnedVersions(text) };
}

/**
 * Built beside its place and renamed, so that a half-built one is never used. Scripts in bin/ keep the draft's
 * path, so packages are run as `python -m NAME`.
 */
async function build(cache: string, folder: string, tell: (line: string) => void): Promise<void> {
  tell("installing the peers' Python packages (once; kept in the cache) …");
  const python = await findPython(process.env.MODELFLEET_PYTHON);
  const draft = `${folder}.${process.pid}`;
  mkdirSync(cache, { recursive: true });
  await run(python.path, ["-m", "venv", draft]);
  const quiet = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"];
  await run(join(draft, "bin", "python"), [
    ...["-m", "pip", "install", ...quiet, "--requirement", requirements],
  ]);
  rmSync(folder, { recursive: true, force: true });
  renameSync(draft, folder);
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { code, lines } = await runCommand(command, args);
  if (code === 0) return;
  throw new Error(`${command} ${args.join(" ")} failed:\n${lines.slice(-20).join("\n")}`);
}

function pinnedVersions(text: string): Record<string, string> {
  const pins = [...text.matchAll(/^([A-Za-z0-9._-]+)==(\S+)$/gm)];
  return Object.fromEntries(
    pins.flatMap(([, name = "", version = ""]) => (wanted.includes(name) ? [[name, version]] : [])),
  );
}
