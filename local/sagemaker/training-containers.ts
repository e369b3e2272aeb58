/** Runs the containers of one training job, one per host, until all of them have ended. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServerConfig } from "./config.schema.js";
import { JobFailure } from "./job-failure.js";
import type { Container, ContainerExit, PythonHost } from "./python-host.js";
import { containerEnvironment } from "./training-files.js";
import type { Host } from "./training-files.js";
import type { TrainingJob } from "./training-status.js";

export interface ContainerRun {
  readonly host: Pick<PythonHost, "train">;
  readonly config: ServerConfig;
  readonly job: TrainingJob;
  readonly hosts: readonly Host[];
  /** Asks the containers to end: SIGTERM, and after the grace period SIGKILL. */
  readonly signal: AbortSignal;
}

/** Throws JobFailure when a container fails by itself; one that was asked to end may end as it likes. */
export async function runContainers(
  run: ContainerRun,
  onLine: (line: string, host: Host) => void,
): Promise<void> {
  run.signal.throwIfAborted();
  const env = containerEnvironment(run.job, run.config);
  const containers = run.hosts.map((host) =>
    run.host.train({ baseDir: host.baseDir, env, onLine: (line) => onLine(line, host) }),
  );
  let kill: NodeJS.Timeout | undefined;
  const end = (): void => {
    for (const container of containers) container.kill("SIGTERM");
    kill ??= setTimeout(() => {
      for (const container of containers) container.kill("SIGKILL");
    }, run.config.stopGraceSeconds * 1000);
  };
  run.signal.addEventListener("abort", end, { once: true });
  try {
    await allExited(run, containers, end);
  } finally {
    run.signal.removeEventListener("abort", end);
    clearTimeout(kill);
  }
}

/** The first host that fails takes the others with it: they would wait for it for ever. */
async function allExited(
  run: ContainerRun,
  containers: readonly Container[],
  endAll: () => void,
): Promise<void> {
  let failure: JobFailure | undefined;
  const watch = async (container: Container, index: number): Promise<void> => {
    const exit = await container.exited;
    const host = run.hosts[index];
    if (exit.code === 0 || failure !== undefined || run.signal.aborted || host === undefined)
      return;
    failure = await failureOf(host, exit);
    endAll();
  };
  await Promise.all(containers.map(watch));
  if (failure !== undefined && !run.signal.aborted) throw failure;
}

/** The toolkit writes why it failed; without that there is only the exit code. */
async function failureOf(host: Host, { code, signal }: ContainerExit): Promise<JobFailure> {
  const file = join(host.baseDir, "output", "failure");
  const text = await readFile(file, "utf8").catch(() => "");
  // A signal looks like 128 + its number in a container; 137 is the kernel out of memory, or we.
  const exitCode = code ?? (signal === "SIGKILL" ? 137 : 1);
  return new JobFailure(`AlgorithmError: ${text.trim().slice(0, 900)}, exit code: ${exitCode}`);
}
