/** What the tests of local/sagemaker/'s Python need: the interpreter, and a host that ends with the test file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { startPythonHost } from "../../local/sagemaker/python-host.js";
import type { Container, ContainerExit, PythonHost } from "../../local/sagemaker/python-host.js";

export function pythonPath(): string {
  const python = process.env.MODELFLEET_TEST_PYTHON;
  if (!python) {
    throw new Error(
      "MODELFLEET_TEST_PYTHON is not set: run `npm test`, or point it at a Python with xgboost, pandas and numpy",
    );
  }
  return python;
}

/** For `expect.poll`: its default of a second is short when two test files share two cores with others. */
export const eventually = { timeout: 20_000 };

/** A folder of this file's own, removed when its tests are done. Short: socket paths have about 100 characters. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "mf-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** One host for all tests of a file. */
export function sharedHost(mode?: "fork" | "spawn"): () => PythonHost {
  const logDir = temporaryFolder();
  let host: PythonHost | undefined;
  beforeAll(async () => {
    const preload = ["numpy", "pandas", "xgboost"];
    host = await startPythonHost({ python: pythonPath(), logDir, preload, ...(mode && { mode }) });
  });
  afterAll(async () => host?.close());
  return () => {
    if (host === undefined) throw new Error("the host starts before the first test, not earlier");
    return host;
  };
}

export interface Run extends ContainerExit {
  readonly lines: string[];
}

/** Waits for a container's end and returns it with all that it said. */
export async function runToEnd(start: (onLine: (line: string) => void) => Container): Promise<Run> {
  const lines: string[] = [];
  const exit = await start((line) => lines.push(line)).exited;
  return { ...exit, lines };
}

/** A promise and its key: Node 20 has no Promise.withResolvers. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((key) => (resolve = key));
  return { promise, resolve };
}
