/** The SageMaker part: the local server of local/sagemaker/ as a process of its own. */
import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { awaitReady } from "./await-ready.js";
import { ACCOUNT, EXECUTION_ROLE_NAME, rolesOf } from "./accounts.js";
import { REGION } from "./environment.js";
import { launch, type Launched } from "./launch.js";
import { packageRoot, packageVersion } from "./package-root.js";
import { serverEnvironment, type Part } from "./part.js";
import type { StackFolder } from "./place.js";
import { stackPorts } from "./ports.js";
import { postgresUrl } from "./postgres.js";
import { writePrivateFile } from "./private-file.js";
import type { StackFile } from "./stack-file.js";

export interface SageMakerOptions {
  readonly folder: StackFolder;
  readonly stack: StackFile;
  readonly python: () => Promise<string>;
  readonly postgresReady: () => Promise<void>;
  /** Fault injection: see the server's own configuration. */
  readonly faults: Readonly<Record<string, unknown>>;
}

export function sagemakerPart(options: SageMakerOptions): Part {
  return {
    name: "sagemaker",
    title: "SageMaker server",
    ports: [stackPorts(options.stack.basePort).sagemaker],
    start: (onLaunched) => start(options, onLaunched),
  };
}

async function start(
  options: SageMakerOptions,
  onLaunched: (launched: Launched) => void,
): Promise<void> {
  const { folder } = options;
  const port = stackPorts(options.stack.basePort).sagemaker;
  mkdirSync(folder.sagemaker, { recursive: true, mode: 0o700 });
  const [python] = await Promise.all([options.python(), options.postgresReady()]);
  const configFile = join(folder.sagemaker, "config.json");
  writePrivateFile(configFile, `${JSON.stringify(serverConfig(options, port, python), null, 2)}\n`);
  const launched = await launch(folder, {
    name: "sagemaker",
    command: process.execPath,
    args: [...serverModule(), "--config", configFile],
    // The SDK inside it would warn of every Node version but the newest.
    env: { ...serverEnvironment(), AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true" },
    cwd: packageRoot(),
    port,
    version: packageVersion(),
  });
  onLaunched(launched);
  await awaitReady({
    title: "The SageMaker server",
    launched,
    timeoutSeconds: 60,
    probe: () => isHealthy(port),
  });
}

function serverConfig({ stack, faults, folder }: SageMakerOptions, port: number, python: string) {
  const ports = stackPorts(stack.basePort);
  const postgres = { port: ports.postgres, password: stack.postgresPassword };
  return {
    host: "127.0.0.1",
    port,
    region: REGION,
    database: postgresUrl(postgres, "sagemaker"),
    s3: {
      endpoint: `http://127.0.0.1:${ports.s3}`,
      ...stack.sagemakerKeys,
      sessionKey: stack.sessionKey,
    },
    accounts: [
      {
        id: ACCOUNT,
        accessKeys: [{ ...stack.userKeys, user: "local" }],
        roles: [EXECUTION_ROLE_NAME],
      },
      ...stack.accounts.map((one) => ({ id: one.id, accessKeys: [], roles: rolesOf(one) })),
    ],
    stateDir: folder.sagemaker,
    python,
    cores: availableParallelism(),
    endpointMemoryMb: 2048,
    faults,
  };
}

async function isHealthy(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/_local/health`, {
    signal: AbortSignal.timeout(2000),
  });
  return answer.ok;
}

/** The built server, unless its sources are newer: then the sources themselves, compiled on the way. */
function serverModule(): string[] {
  const root = packageRoot();
  const built = join(root, "dist", "local", "sagemaker", "main.js");
  const source = join(root, "local", "sagemaker", "main.ts");
  if (!existsSync(source)) return [built];
  const isFresh = existsSync(built) && newest(join(root, "local", "sagemaker")) <= builtAt(root);
  return isFresh ? [built] : ["--import", "jiti/register", source];
}

/** An unchanged module is not written again, so one file's time does not tell; the bundle's is each build's own. */
function builtAt(root: string): number {
  const bundle = join(root, "dist", "workflow-bundle.js");
  const modules = newest(join(root, "dist", "local", "sagemaker"));
  return Math.max(modules, existsSync(bundle) ? changed(bundle) : 0);
}

function newest(folder: string): number {
  return Math.max(...readdirSync(folder).map((file) => changed(join(folder, file))));
}

function changed(file: string): number {
  return statSync(file).mtimeMs;
}
