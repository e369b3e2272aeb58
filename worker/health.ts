/** Whether the worker lives, and whether it takes work: what an orchestrator asks. */
import type { Worker } from "@temporalio/worker";
import { plain, type Pages } from "./http-server.js";

/** The states of the process's workers by task queue; empty before they are made. */
export type WorkerStates = () => Readonly<Record<string, ReturnType<Worker["getState"]>>>;

/**
 * `/health/live` answers 200 until a worker has failed: then only a new process helps. `/health/ready` answers 200
 * while all workers poll; 503 before that, and from the moment that the process was told to stop. Neither asks
 * Temporal, Postgres or AWS: a part that is down for a while is no reason to restart every worker.
 */
export function healthPages(states: WorkerStates): Pages {
  return {
    "/health/live": async () => {
      const failed = Object.values(states()).includes("FAILED");
      return plain(failed ? 503 : 200, described(states()));
    },
    "/health/ready": async () => {
      const all = Object.values(states());
      const ready = all.length > 0 && all.every((state) => state === "RUNNING");
      return plain(ready ? 200 : 503, described(states()));
    },
  };
}

function described(states: ReturnType<WorkerStates>): string {
  const lines = Object.entries(states).map(([queue, state]) => `${queue} ${state.toLowerCase()}\n`);
  return lines.length === 0 ? "starting\n" : lines.join("");
}
