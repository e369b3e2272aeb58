/** One serving container: started, watched until it answers pings, started again when it dies. */
import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { createContainerClient } from "./container-client.js";
import type { ContainerClient, ContainerRequest, ContainerResponse } from "./container-client.js";
import type { Container, ContainerExit, PythonHost } from "./python-host.js";

export interface ModelContainerOptions {
  readonly host: PythonHost;
  readonly baseDir: string;
  readonly socketPath: string;
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  /** AWS gives a container four minutes to answer its first ping. */
  readonly startupMs: number;
  /** Called when a new process has taken over: what the old one had loaded is gone. */
  readonly onRestart: () => void;
}

const PING_TIMEOUT_MS = 2_000;
const FIRST_PING_AFTER_MS = 5;
const SLOWEST_PING_MS = 250;
const STARTS_BEFORE_GIVING_UP = 3;
const FIRST_RESTART_PAUSE_MS = 100;
const LONGEST_RESTART_PAUSE_MS = 10_000;
const WAIT_FOR_RESTART_MS = 5_000;
const SIGKILL_AFTER_MS = 30_000;

/** One life of the container: a process, and whether it has come up. */
interface Life {
  readonly process: Container;
  readonly up: Promise<void>;
  isUp: boolean;
}

export class ModelContainer {
  /** Resolves at the first healthy ping; rejects when the container never gets there. */
  readonly ready: Promise<void>;
  readonly #options: ModelContainerOptions;
  readonly #client: ContainerClient;
  #life: Life;
  #lastLine = "it wrote no log";
  #closing = false;

  constructor(options: ModelContainerOptions) {
    this.#options = options;
    this.#client = createContainerClient(options.socketPath);
    this.#life = this.#begin();
    this.ready = this.#comeUp();
    this.ready.catch(() => {}); // The owner looks at it in its own time.
  }

  /** Rejects, without waiting for long, when the container died and is not back. */
  async send(request: ContainerRequest): Promise<ContainerResponse> {
    if (!this.#life.isUp) await withinTime(this.#life.up, WAIT_FOR_RESTART_MS);
    return this.#client.send(request);
  }

  /** Of the process that serves at this moment. */
  pid(): number | null {
    return this.#life.process.pid();
  }

  async close(): Promise<void> {
    this.#closing = true;
    const { process } = this.#life;
    process.kill("SIGTERM");
    const killer = setTimeout(() => process.kill("SIGKILL"), SIGKILL_AFTER_MS);
    await process.exited;
    clearTimeout(killer);
    this.#client.close();
    await rm(this.#options.socketPath, { force: true });
  }

  #begin(): Life {
    const { host, baseDir, socketPath, env, startupMs } = this.#options;
    const onLine = (line: string): void => this.#hear(line);
    const process = host.serve({ baseDir, socketPath, env, onLine });
    const up = waitForPing(this.#client, process, startupMs).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`${reason}: ${this.#lastLine}`, { cause: error });
    });
    const life: Life = { process, up, isUp: false };
    up.then(
      () => (life.isUp = true),
      () => process.kill("SIGKILL"), // Not healthy in time: whoever waits for `up` is told why.
    );
    return life;
  }

  #hear(line: string): void {
    if (line.trim() !== "") this.#lastLine = line.trim();
    this.#options.onLine(line);
  }

  async #comeUp(): Promise<void> {
    for (let start = 1; ; start++) {
      try {
        await this.#life.up;
        void this.#stayUp();
        return;
      } catch (error) {
        if (this.#closing || start === STARTS_BEFORE_GIVING_UP) throw error;
        await this.#beginAgain();
      }
    }
  }

  async #stayUp(): Promise<void> {
    let pauseMs = 0;
    while (!this.#closing) {
      const since = Date.now();
      const { code, signal } = await this.#life.process.exited;
      if (this.#closing) return;
      this.#options.onLine(
        `container ended (${signal ?? `exit code ${code}`}): it is started again`,
      );
      // The first end costs no wait; a container that ends again and again is not started in a loop.
      const livedLong = Date.now() - since > LONGEST_RESTART_PAUSE_MS;
      pauseMs = livedLong ? 0 : Math.min(LONGEST_RESTART_PAUSE_MS, pauseMs * 2);
      await delay(pauseMs, undefined, { ref: false });
      pauseMs ||= FIRST_RESTART_PAUSE_MS;
      await this.#beginAgain();
      this.#options.onRestart();
    }
  }

  async #beginAgain(): Promise<void> {
    this.#life.process.kill("SIGKILL");
    await this.#life.process.exited;
    await rm(this.#options.socketPath, { force: true });
    if (!this.#closing) this.#life = this.#begin();
  }
}

async function waitForPing(
  client: ContainerClient,
  process: Container,
  startupMs: number,
): Promise<void> {
  const deadline = Date.now() + startupMs;
  const state: { exit: ContainerExit | null } = { exit: null };
  void process.exited.then((exit) => (state.exit = exit));
  for (let pauseMs = FIRST_PING_AFTER_MS; ; pauseMs = Math.min(SLOWEST_PING_MS, pauseMs * 1.5)) {
    await delay(pauseMs);
    if (state.exit !== null) {
      throw new Error(`it ended with ${state.exit.signal ?? `exit code ${state.exit.code}`}`);
    }
    if (Date.now() > deadline) throw new Error(`no healthy ping within ${startupMs} ms`);
    try {
      const ping = await client.send({ method: "GET", path: "/ping", timeoutMs: PING_TIMEOUT_MS });
      if (ping.status === 200) return;
    } catch {
      // The socket is not there yet, or the server is busy loading: the next ping tells.
    }
  }
}

async function withinTime(promise: Promise<void>, milliseconds: number): Promise<void> {
  const timer = new AbortController();
  try {
    await Promise.race([
      promise,
      delay(milliseconds, undefined, { signal: timer.signal }).then(() => {
        throw new Error("the container is being started again");
      }),
    ]);
  } finally {
    timer.abort();
  }
}
