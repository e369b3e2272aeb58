/** The embedded stack of a benchmark's own: fresh, in a temporary folder, ended and removed afterwards. */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadFlights } from "../examples/flights/load.js";
import { cacheFolder } from "../local/stack/cache-folder.js";
import { stackFolder } from "../local/stack/place.js";
import { listRecords, type ProcessRecord } from "../local/stack/process-records.js";
import { pythonEnvironment } from "../local/stack/python-environment.js";
import { startStack } from "../local/stack/start.js";
import { stopStack } from "../local/stack/stop.js";
import type { RootProcess } from "./cpu-time.js";
import { benchPython, type BenchPython } from "./python-environment.js";

/** Benchmarks take this port and those after it, so that they can run beside a demo's stack. */
export const BASE_PORT = 17_900;
/** For servers that a benchmark starts beside its stack. */
export const PEER_PORT = BASE_PORT + 40;

export type Tell = (line: string) => void;

export interface BenchStack {
  /** What client and worker read from their environment. */
  readonly environment: Readonly<Record<string, string>>;
  readonly warehouseUrl: string;
  /** Holds the stack, and whatever the benchmark writes; removed at the end. */
  readonly workFolder: string;
  /** The environment that the product's own Python runs in. */
  readonly productPython: string;
  readonly python: BenchPython;
  readonly versions: Readonly<Record<string, string>>;
  /** The stack's own processes. */
  readonly processes: readonly RootProcess[];
}

export async function withStack<T>(tell: Tell, use: (stack: BenchStack) => Promise<T>): Promise<T> {
  const workFolder = mkdtempSync(join(realpathSync(tmpdir()), "modelfleet-bench-"));
  const place = { name: "bench", state: join(workFolder, "stack") };
  const stop = async () => {
    await stopStack(place).catch((error: unknown) => tell(String(error)));
    rmSync(workFolder, { recursive: true, force: true });
  };
  const interrupted = () => void stop().finally(() => process.exit(130));
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    const python = await benchPython(tell);
    const onProgress = () => undefined;
    const cache = cacheFolder(process.env);
    const wantedPython = process.env.MODELFLEET_PYTHON;
    const product = await pythonEnvironment({ cache, wantedPython, onProgress });
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
    tell("starting the stack …");
    const { environment } = await startStack({ ...place, basePort: BASE_PORT, onProgress });
    // The AWS SDKs and Temporal's client read their settings from the environment; real keys must not be mixed in.
    delete process.env.AWS_PROFILE;
    Object.assign(process.env, environment);
    const warehouseUrl = required(environment, "WAREHOUSE_URL");
    const records = listRecords(stackFolder(place));
    return await use({
      environment,
      warehouseUrl,
      workFolder,
      productPython: product.python,
      python,
      versions: { ...partVersions(records), ...python.versions },
      processes: records,
    });
  } finally {
    tell("ending the stack …");
    await stop();
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
  }
}

export async function ensureFlights(stack: BenchStack, tell: Tell): Promise<void> {
  tell("loading the flights …");
  const { warehouseUrl, productPython: python } = stack;
  await loadFlights({ warehouseUrl, python, onRows: () => undefined });
}

export function required(environment: Readonly<Record<string, string>>, name: string): string {
  const value = environment[name];
  if (value === undefined) throw new Error(`the stack's environment has no ${name}`);
  return value;
}

function partVersions(records: readonly ProcessRecord[]): Record<string, string> {
  return Object.fromEntries(
    records.flatMap(({ name, version }) =>
      version === null || name === "sagemaker" ? [] : [[name, version]],
    ),
  );
}
