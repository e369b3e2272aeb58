/** What the server's Python processes have in common: where their files are, what they see, what they say. */
import type { ChildProcess } from "node:child_process";
import { createWriteStream, existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The Python files are not compiled: they stay in the package's own folder when this runs from dist/. */
export function pythonScript(name: string): string {
  const beside = fileURLToPath(new URL(`./python/${name}`, import.meta.url));
  const fromDist = new URL(`../../../local/sagemaker/python/${name}`, import.meta.url);
  return existsSync(beside) ? beside : fileURLToPath(fromDist);
}

/**
 * Python sees no setting or credential of this process: only what a program needs to run at all, what
 * pip needs to reach its index, and one native thread each, since the server runs one job per core.
 */
export function pythonEnvironment(own: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = /^(PATH|HOME|LANG|LC_.*|TZ|TMPDIR|PIP_.*|SSL_CERT_.*|(HTTPS?|NO|ALL)_PROXY)$/i;
  return {
    ...Object.fromEntries(Object.entries(own).filter(([name]) => kept.test(name))),
    OMP_NUM_THREADS: "1",
    OPENBLAS_NUM_THREADS: "1",
    MKL_NUM_THREADS: "1",
    VECLIB_MAXIMUM_THREADS: "1",
    PYTHONNOUSERSITE: "1",
  };
}

/** Keeps what a process says on stderr; its last line tells why it ended. */
export function recordStderr(child: ChildProcess, logFile: string) {
  const log = createWriteStream(logFile, { flags: "a" });
  let last = "no output";
  const push = (line: string): void => {
    if (line.trim() === "") return;
    last = line.trim();
    log.write(line + "\n");
  };
  if (child.stderr) createInterface({ input: child.stderr }).on("line", push);
  child.once("close", () => log.end());
  return { push, text: () => last };
}
