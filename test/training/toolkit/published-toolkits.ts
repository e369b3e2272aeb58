/** The sagemaker-training and sagemaker-inference toolkits as AWS publishes them, installed once into the cache. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder } from "../../../local/stack/cache-folder.js";
import { runCommand, type CommandResult } from "../../../local/stack/run-command.js";
import { pythonPath } from "../../hosting/python.js";

export interface PublishedToolkits {
  /** Runs the job laid out in a folder as a container does, `train`; resolves to what it said. */
  train(baseDir: string): Promise<CommandResult>;
  /** Loads the model of a folder with the code in its `code/`, and answers: see serve.py. */
  serve(modelDir: string, served: Served): Promise<readonly ModelAnswer[]>;
}

export interface Served {
  /** The module with model_fn, as a file's name. */
  readonly program: string;
  readonly requests: readonly ModelRequest[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface ModelRequest {
  readonly contentType: string;
  readonly accept: string;
  readonly body: string;
}

export interface ModelAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const requirements = join(import.meta.dirname, "requirements.txt");

/** Beside the interpreter that has the ML libraries, so that a script finds them as in a container. */
export async function publishedToolkits(): Promise<PublishedToolkits> {
  const folder = join(cacheFolder(process.env), `toolkits-${installationHash()}`);
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
    serve: (modelDir, served) => serve(folder, modelDir, served),
  };
}

async function serve(
  toolkits: string,
  modelDir: string,
  { program, requests, env }: Served,
): Promise<readonly ModelAnswer[]> {
  const [asked, answered] = [`${modelDir}.requests.json`, `${modelDir}.answers.json`];
  writeFileSync(asked, JSON.stringify(requests));
  const script = join(import.meta.dirname, "serve.py");
  const { code, lines } = await runCommand(pythonPath(), [script, modelDir, asked, answered], {
    env: {
      PATH: process.env["PATH"] ?? "",
      // The server puts the model's code there before it starts the workers.
      PYTHONPATH: `${join(modelDir, "code")}:${toolkits}`,
      SAGEMAKER_PROGRAM: program,
      ...env,
    },
  });
  if (code !== 0) throw new Error(`the model is not served:\n${lines.slice(-20).join("\n")}`);
  return JSON.parse(readFileSync(answered, "utf8")) as readonly ModelAnswer[];
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
    // Some come as source: built by the setuptools that is there, not by one fetched unseen.
    ...["--no-deps", "--no-build-isolation", "--target", draft, "--requirement", requirements],
  ]);
  if (code !== 0) {
    rmSync(draft, { recursive: true, force: true });
    throw new Error(`the published toolkits cannot be installed:\n${lines.slice(-10).join("\n")}`);
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(draft, folder);
}
