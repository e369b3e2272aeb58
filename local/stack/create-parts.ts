/** Puts the parts of one stack together: ports, secrets, programs, and who waits for whom. */
import { cacheFolder } from "./cache-folder.js";
import { BUCKET, REGION } from "./environment.js";
import type { Part, PartName } from "./part.js";
import type { StackFolder } from "./place.js";
import { stackPorts } from "./ports.js";
import { postgresPart } from "./postgres.js";
import type { OnProgress } from "./progress.js";
import { pythonEnvironment, type PythonEnvironment } from "./python-environment.js";
import { s3Part } from "./s3.js";
import { sagemakerPart } from "./sagemaker.js";
import type { StackFile } from "./stack-file.js";
import { temporalPart } from "./temporal.js";
import { findTool, type ToolKind } from "./tools.js";

export interface CreatePartsOptions {
  readonly folder: StackFolder;
  readonly stack: StackFile;
  readonly onProgress: OnProgress;
  readonly faults: Readonly<Record<string, unknown>>;
  /** The starts under way, by part; a part that is not in it runs already. */
  readonly ready: ReadonlyMap<PartName, Promise<void>>;
}

export function createParts(options: CreatePartsOptions): Part[] {
  const { folder, stack, onProgress, faults, ready } = options;
  const ports = stackPorts(stack.basePort);
  let environment: Promise<PythonEnvironment> | undefined;
  // Asked for by three parts, needed by none when all of them run.
  const python = () =>
    (environment ??= pythonEnvironment({
      cache: cacheFolder(process.env),
      wantedPython: process.env.MODELFLEET_PYTHON,
      onProgress,
    }));
  const tool = async (kind: ToolKind) =>
    findTool(kind, process.env.PATH ?? "", (await python()).binaries);
  return [
    postgresPart({ folder, port: ports.postgres, password: stack.postgresPassword, onProgress }),
    temporalPart({ folder, port: ports.temporal, uiPort: ports.temporalUi, tool }),
    s3Part({
      folder,
      ports,
      region: REGION,
      bucket: BUCKET,
      identities: stack,
      tool,
    }),
    sagemakerPart({
      folder,
      stack,
      faults,
      python: async () => (await python()).python,
      postgresReady: async () => ready.get("postgres"),
    }),
  ];
}
