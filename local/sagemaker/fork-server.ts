/** Speaks with one fork parent (python/fork_server.py): starts it, sends commands, hands out events. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { z } from "zod";
import { splitLines } from "./line-splitter.js";
import type { LineSplitter } from "./line-splitter.js";
import { pythonEnvironment, pythonScript, recordStderr } from "./python-process.js";

export interface ForkServerOptions {
  readonly python: string;
  readonly preload: readonly string[];
  readonly mode: "fork" | "spawn";
  readonly logFile: string;
}

export interface ContainerEvents {
  readonly onLine: (line: string) => void;
  readonly onExit: (exit: { code: number | null; signal: string | null }) => void;
}

export interface ForkServer {
  /** Rejects, with the parent's last words, when it ends before it is ready. */
  readonly ready: Promise<void>;
  readonly pid: number | null;
  readonly ended: boolean;
  /** Starts a container and returns its number. Commands sent before the parent is ready wait in its pipe. */
  start(command: object, events: ContainerEvents): number;
  kill(container: number, signal: "SIGINT" | "SIGTERM" | "SIGKILL"): void;
  /** Null for a container that has not started yet, or has ended. */
  pidOf(container: number): number | null;
  close(): Promise<void>;
}

interface RunningContainer {
  readonly events: ContainerEvents;
  readonly lines: LineSplitter;
  pid: number | null;
}

const eventSchema = z.discriminatedUnion("event", [
  z.object({ event: z.literal("ready"), notes: z.array(z.string()) }),
  z.object({ event: z.literal("started"), container: z.number(), pid: z.number() }),
  z.object({ event: z.literal("output"), container: z.number(), text: z.string() }),
  z.object({
    event: z.literal("exited"),
    container: z.number(),
    code: z.number().nullable(),
    signal: z.string().nullable(),
  }),
]);
type ForkServerEvent = z.infer<typeof eventSchema>;

export function startForkServer(options: ForkServerOptions): ForkServer {
  const child = spawn(options.python, forkServerArguments(options), {
    stdio: ["pipe", "pipe", "pipe"],
    env: pythonEnvironment(process.env),
  });
  const containers = new Map<number, RunningContainer>();
  let nextNumber = 1;
  let ended = false;
  const lastWords = recordStderr(child, options.logFile);
  const gone = new Promise<void>((resolve) => {
    const end = (): void => {
      ended = true;
      endAll(containers);
      resolve();
    };
    // A program that cannot be started has an `error` and no `close`; any other always has a `close`.
    child.once("error", (error) => {
      lastWords.push(error.message);
      end();
    });
    child.once("close", end);
  });
  const ready = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const event = eventSchema.parse(JSON.parse(line));
      if (event.event === "ready") resolve();
      else deliver(event, containers);
    });
    void gone.then(() =>
      reject(
        new Error(
          `the Python host (${options.python}) ended before it was ready: ${lastWords.text()}. ` +
            `Its log is ${options.logFile}`,
        ),
      ),
    );
  });
  ready.catch(() => {}); // Whoever restarts a parent learns of its end from its containers.
  child.stdin.on("error", () => {}); // The parent is gone: `close` follows and ends its containers.

  const send = (command: object): void => {
    child.stdin.write(JSON.stringify(command) + "\n");
  };
  return {
    ready,
    get pid() {
      return child.pid ?? null;
    },
    get ended() {
      return ended;
    },
    start(command, events) {
      const number = nextNumber++;
      const container = { events, lines: splitLines(events.onLine), pid: null };
      containers.set(number, container);
      if (ended) endAll(containers);
      else send({ start: number, ...command });
      return number;
    },
    pidOf: (container) => containers.get(container)?.pid ?? null,
    kill: (container, signal) => {
      if (!ended) send({ kill: container, signal });
    },
    close: async () => {
      child.stdin.end(); // The parent kills its containers and ends.
      await gone;
    },
  };
}

function forkServerArguments({ mode, preload }: ForkServerOptions): string[] {
  return [pythonScript("fork_server.py"), "--mode", mode, "--preload", preload.join(",")];
}

function deliver(
  event: Exclude<ForkServerEvent, { event: "ready" }>,
  containers: Map<number, RunningContainer>,
): void {
  const container = containers.get(event.container);
  if (container === undefined) return;
  switch (event.event) {
    case "started":
      container.pid = event.pid;
      return;
    case "output":
      container.lines.push(event.text);
      return;
    case "exited":
      containers.delete(event.container);
      container.lines.end();
      container.events.onExit({ code: event.code, signal: event.signal });
  }
}

/** The parent is gone. The kernel killed its children; what those had started is in their groups. */
function endAll(containers: Map<number, RunningContainer>): void {
  for (const [number, container] of containers) {
    containers.delete(number);
    if (container.pid !== null) killGroup(container.pid);
    container.lines.end();
    container.events.onExit({ code: null, signal: "SIGKILL" });
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // No such group: it ended by itself.
  }
}
