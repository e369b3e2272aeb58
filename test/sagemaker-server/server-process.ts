/** The server as a process of its own, so that a test can kill it, or look at its memory. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { afterAll } from "vitest";
import type { ServerConfigInput } from "../../local/sagemaker/config.schema.js";
import type { Cloud } from "./cloud.js";

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Resolves to the exit code, or null after SIGKILL. */
  readonly end: (signal: "SIGKILL" | "SIGTERM") => Promise<number | null>;
}

/** Returns a function that starts the server; what still runs after the last test is killed. */
export function useServerProcesses(cloud: () => Cloud) {
  const processes: ChildProcess[] = [];
  afterAll(() => processes.forEach((process) => process.kill("SIGKILL")));

  return async (settings: Partial<ServerConfigInput> = {}): Promise<ServerProcess> => {
    const file = `${cloud().config.stateDir}.json`;
    await writeFile(file, JSON.stringify({ ...cloud().config, cores: 1, ...settings }));
    const main = new URL("../../local/sagemaker/main.ts", import.meta.url).pathname;
    const server = spawn(process.execPath, ["--import", "jiti/register", main, "--config", file], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, NODE_NO_WARNINGS: "1" },
    });
    processes.push(server);
    const lines = createInterface({ input: server.stdout });
    const [line] = (await once(lines, "line")) as string[];
    return {
      url: /^ready (http:\/\/.+)$/.exec(line ?? "")?.[1] ?? "",
      pid: server.pid ?? 0,
      end: async (signal) => {
        server.kill(signal);
        const [code] = (await once(server, "exit")) as [number | null];
        return code;
      },
    };
  };
}
