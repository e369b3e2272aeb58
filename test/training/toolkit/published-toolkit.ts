/** The sagemaker-training toolkit as AWS publishes it, installed once into the cache, for tests to run beside ours. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../../../local/stack/cache-folder.js";
import { runCommand } from "../../../local/stack/run-command.js";
import { pythonPath } from "../../hosting/python.js";

export interface PublishedToolkit {
  /** Runs the job laid out in a folder as a container does, `train`; resolves to what it said. */
  train(
    baseDir: string,
  ): Promise<{ readonly code: number | null; readonly lines: readonly string[] }>;
}

const requirements = join(import.meta.dirname, "requirements.txt");

/** Beside the interpreter that has the ML libraries, so that a script finds them as in a container. */
export async function publishedToolkit(): Promise<PublishedToolkit> {
  const folder = join(cacheFolder(process.env), `training-toolkit-${installationHash()}`);
  if (!existsSync(folder)) await install(folder);
  return {
    train: (baseDir) =>
      runCommand(pythonPath(), ["-m", "sagemaker_training.cli.train"], {
        env: {
          PATH: process.env["PATH"] ?? "",
          PYTHONPATH: folder,
          SAGEMAKER_BASE_DIR: baseDir,
          // Otherwise it waits until the name algo-1 resolves.
          SM_STUDIO_LOCAL_MODE: "true",
        },
      }),
  };
}

function installationHash(): string {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch} ${pythonPath()}`);
  return hash.update(readFileSync(requirements)).digest("hex").slice(0, 16);
}

/** Built beside its place and renamed, so that a half-built one is never used. */
async function install(folder: string): Promise<void> {
  const draft = `${folder}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  const { code, lines } = await runCommand(pythonPath(), [
    ...["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"],
    // Two of them come as source: built by the setuptools that is there, not by one fetched unseen.
    ...["--no-deps", "--no-build-isolation", "--target", draft, "--requirement", requirements],
  ]);
  if (code !== 0) {
    rmSync(draft, { recursive: true, force: true });
    throw new Error(`the training toolkit cannot be installed:\n${lines.slice(-10).join("\n")}`);
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(draft, folder);
}
