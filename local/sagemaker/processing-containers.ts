/** Runs the containers of one processing job, one per host, until all of them have ended. */
import type { ServerConfig } from "./config.schema.js";
import { JobFailure } from "./job-failure.js";
import { containerEnvironment } from "./processing-folders.js";
import type { ProcessingHost, ProcessingJob } from "./processing-folders.js";
import type { Container, ContainerExit, PythonHost } from "./python-host.js";

export interface ProcessingRun {
  readonly python: Pick<PythonHost, "process">;
  readonly config: ServerConfig;
  readonly job: ProcessingJob;
  readonly hosts: readonly ProcessingHost[];
  /** Asks the containers to end: SIGINT, and after the grace period SIGKILL. */
  readonly signal: AbortSignal;
  readonly onLine: (line: string, host: ProcessingHost) => void;
}

interface Running {
  readonly container: Container;
  /** What the container said last: why it failed, as a rule. */
  lastLine: string;
}

/** Throws JobFailure when a container fails by itself; one that was asked to end may end as it likes. */
export async function runProcessingContainers(run: ProcessingRun): Promise<void> {
  run.signal.throwIfAborted();
  const running = run.hosts.map((host) => startContainer(run, host));
  let kill: NodeJS.Timeout | undefined;
  const end = (): void => {
    for (const { container } of running) container.kill("SIGINT");
    kill ??= setTimeout(() => {
      for (const { container } of running) container.kill("SIGKILL");
    }, run.config.stopGraceSeconds * 1000);
  };
  run.signal.addEventListener("abort", end, { once: true });
  try {
    await allExited(run, running, end);
  } finally {
    run.signal.removeEventListener("abort", end);
    clearTimeout(kill);
  }
}

function startContainer(run: ProcessingRun, host: ProcessingHost): Running {
  const env = containerEnvironment(run.job, host, run.config);
  const onLine = (line: string): void => {
    if (line.trim() !== "") running.lastLine = line.trim();
    run.onLine(line, host);
  };
  const container = run.python.process({ baseDir: host.baseDir, env, onLine });
  const running: Running = { container, lastLine: "" };
  return running;
}

/** The first host that fails takes the others with it: the job has failed, whatever they do. */
async function allExited(
  run: ProcessingRun,
  running: readonly Running[],
  endAll: () => void,
): Promise<void> {
  let failure: JobFailure | undefined;
  const watch = async (one: Running): Promise<void> => {
    const exit = await one.container.exited;
    if (exit.code === 0 || failure !== undefined || run.signal.aborted) return;
    failure = failureOf(one, exit);
    endAll();
  };
  await Promise.all(running.map(watch));
  if (failure !== undefined && !run.signal.aborted) throw failure;
}

function failureOf({ lastLine }: Running, { code, signal }: ContainerExit): JobFailure {
  // A signal looks like 128 + its number in a container; 137 is the kernel out of memory, or we.
  const exitCode = code ?? (signal === "SIGKILL" ? 137 : 1);
  return new JobFailure(`AlgorithmError: ${lastLine.slice(0, 900)}, exit code: ${exitCode}`);
}
