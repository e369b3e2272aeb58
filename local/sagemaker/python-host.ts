/** Runs containers as Python processes: forks of one preloaded parent, restarted when it dies. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { startForkServer } from "./fork-server.js";
import type { ContainerEvents, ForkServer, ForkServerOptions } from "./fork-server.js";

export interface PythonHostOptions {
  /** The interpreter that has the ML libraries. */
  readonly python: string;
  /** Folder of `python-host.log`: what the parent itself has to say. */
  readonly logDir: string;
  /** Modules that the parent imports once, for all containers. */
  readonly preload: readonly string[];
  /** `spawn` starts an interpreter per container; default: `fork` on Linux, `spawn` elsewhere. */
  readonly mode?: "fork" | "spawn";
}

export interface PythonHost {
  /** Plays the training toolkit on `baseDir`, the job's /opt/ml. */
  train(job: TrainingContainer): Container;
  /** Runs the entry point of `baseDir`'s processingjobconfig.json, which sees `baseDir` as its /opt/ml. */
  process(job: TrainingContainer): Container;
  /** Plays the model server on a unix socket; `baseDir` is the container's /opt/ml. */
  serve(container: ServingContainer): Container;
  /** Process id of the fork parent, for those who look after processes. */
  parentPid(): number | null;
  /** Kills what runs and ends the parent. */
  close(): Promise<void>;
}

export interface TrainingContainer {
  readonly baseDir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
}

export interface ServingContainer extends TrainingContainer {
  readonly socketPath: string;
}

export interface ContainerExit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface Container {
  /** Resolves after the last line of output; never rejects. */
  readonly exited: Promise<ContainerExit>;
  kill(signal: "SIGINT" | "SIGTERM" | "SIGKILL"): void;
  /** Null until it has started, and once it has ended. */
  pid(): number | null;
}

export async function startPythonHost(options: PythonHostOptions): Promise<PythonHost> {
  mkdirSync(options.logDir, { recursive: true });
  const serverOptions: ForkServerOptions = {
    python: options.python,
    preload: options.preload,
    mode: options.mode ?? (process.platform === "linux" ? "fork" : "spawn"),
    logFile: join(options.logDir, "python-host.log"),
  };
  let server: ForkServer = startForkServer(serverOptions);
  await server.ready;
  let closing = false;

  const start = (command: object, onLine: (line: string) => void): Container => {
    // A parent that died is replaced when it is next needed: one that cannot live is not started in a loop.
    if (!closing && server.ended) server = startForkServer(serverOptions);
    return runContainer(server, command, onLine);
  };
  return {
    train: ({ baseDir, env, onLine }) => start({ role: "train", baseDir, env }, onLine),
    process: ({ baseDir, env, onLine }) => start({ role: "process", baseDir, env }, onLine),
    serve: ({ baseDir, socketPath, env, onLine }) =>
      start({ role: "serve", baseDir, socketPath, env }, onLine),
    parentPid: () => server.pid,
    close: async () => {
      closing = true;
      await server.close();
    },
  };
}

function runContainer(
  server: ForkServer,
  command: object,
  onLine: (line: string) => void,
): Container {
  let number = 0;
  const exited = new Promise<ContainerExit>((resolve) => {
    const events: ContainerEvents = { onLine, onExit: resolve };
    number = server.start(command, events);
  });
  return {
    exited,
    pid: () => server.pidOf(number),
    kill: (signal) => server.kill(number, signal),
  };
}
