/** Runs the containers of one training job, one per host, until all of them have ended. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ServerConfig } from "./config.schema.js";
import { JobFailure } from "./job-failure.js";
import type { Container, ContainerExit, PythonHost } from "./python-host.js";
import type { Disruption } from "./training-disruption.js";
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
  /** Resolves when something befalls the job; it need not. */
  readonly disrupted: Promise<Disruption>;
}

/** A container whose script failed because the others were ended is not told: the first one is why. */
interface Running {
  readonly containers: readonly Container[];
  readonly endAll: () => void;
  /** The first reason for which the job cannot go on. */
  because: Error | undefined;
}

/**
 * Throws JobFailure when a container fails by itself or its host is lost, SpotInterruption when the
 * capacity was taken back. One that was asked to end may end as it likes.
 */
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
  let areOver = false;
  const endAll = (): void => {
    if (areOver) return;
    for (const container of containers) container.kill("SIGTERM");
    kill ??= setTimeout(() => {
      for (const container of containers) container.kill("SIGKILL");
    }, run.config.stopGraceSeconds * 1000);
  };
  const running: Running = { containers, endAll, because: undefined };
  void run.disrupted.then((disruption) => disrupt(run, running, disruption));
  run.signal.addEventListener("abort", endAll, { once: true });
  try {
    await Promise.all(containers.map((container, index) => watch(run, running, container, index)));
  } finally {
    run.signal.removeEventListener("abort", endAll);
    clearTimeout(kill);
    areOver = true;
  }
  if (running.because !== undefined && !run.signal.aborted) throw running.because;
}

/** The first host that fails takes the others with it: they would wait for it for ever. */
async function watch(
  run: ContainerRun,
  running: Running,
  container: Container,
  index: number,
): Promise<void> {
  const exit = await container.exited;
  const host = run.hosts[index];
  if (exit.code === 0 || running.because !== undefined || host === undefined) return;
  if (run.signal.aborted) return;
  const failure = await failureOf(host, exit);
  running.because ??= failure;
  running.endAll();
}

function disrupt(run: ContainerRun, running: Running, { because, lost }: Disruption): void {
  running.because ??= because;
  // What the machine ran is gone without a word; a job that was asked to end anyhow just ends.
  run.hosts.forEach((host, index) => {
    if (host === lost) running.containers[index]?.kill("SIGKILL");
  });
  running.endAll();
}

/** The toolkit writes why it failed; without that there is only the exit code. */
async function failureOf(host: Host, { code, signal }: ContainerExit): Promise<JobFailure> {
  const file = join(host.baseDir, "output", "failure");
  const text = await readFile(file, "utf8").catch(() => "");
  // A signal looks like 128 + its number in a container; 137 is the kernel out of memory, or we.
  const exitCode = code ?? (signal === "SIGKILL" ? 137 : 1);
  return new JobFailure(`AlgorithmError: ${text.trim().slice(0, 900)}, exit code: ${exitCode}`);
}
