/** Speaks with the process that chooses points (python/tuning_search.py): started when first needed, and again when it dies. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { z } from "zod";
import { pythonEnvironment, pythonScript, recordStderr } from "./python-process.js";
import type { ToldTrial } from "./tuning-history.js";
import type { Point, Range } from "./tuning-ranges.js";
import type { Hyperband, Objective } from "./tuning-request.js";

/** Everything a choice depends on: the process keeps nothing from one request to the next. */
export interface SearchState {
  readonly strategy: "Bayesian" | "Random" | "Hyperband";
  readonly direction: Objective["direction"];
  /** Of this choice alone: the same seed and trials lead to the same point. */
  readonly seed: number;
  readonly ranges: readonly Range[];
  readonly trials: readonly ToldTrial[];
  readonly hyperband?: Hyperband;
}

export interface TuningSearch {
  /** Undefined when every point has been tried. */
  suggest(state: SearchState): Promise<Point | undefined>;
  /** Does Hyperband stop this running trial at the last value that it has reported? */
  isToBeCut(state: SearchState, trial: number): Promise<boolean>;
  close(): Promise<void>;
}

export interface SearchOptions {
  readonly python: string;
  readonly logFile: string;
}

const answerSchema = z.union([
  z.object({ id: z.number(), error: z.string() }),
  z.object({
    id: z.number(),
    point: z.record(z.string(), z.union([z.number(), z.string()])).nullable(),
  }),
  z.object({ id: z.number(), cut: z.boolean() }),
]);
type Answer = z.infer<typeof answerSchema>;

/** A process that dies again and again is not started in a loop. */
const attempts = 3;

export function createTuningSearch(options: SearchOptions): TuningSearch {
  let running: SearchProcess | undefined;
  let closed = false;

  const ask = async (question: object): Promise<Answer> => {
    for (let attempt = 1; ; attempt++) {
      if (closed) throw new Error("the server is ending");
      if (running === undefined || running.ended) running = startSearchProcess(options);
      try {
        return await running.ask(question);
      } catch (error) {
        if (!(error instanceof ProcessEnded) || attempt === attempts) throw error;
      }
    }
  };
  return {
    async suggest(state) {
      const answer = await ask({ suggest: state });
      if ("point" in answer) return answer.point ?? undefined;
      throw unexpected(answer);
    },
    async isToBeCut(state, trial) {
      const answer = await ask({ judge: state, trial });
      if ("cut" in answer) return answer.cut;
      throw unexpected(answer);
    },
    async close() {
      closed = true;
      await running?.close();
    },
  };
}

class ProcessEnded extends Error {
  override readonly name = "ProcessEnded";
}

interface SearchProcess {
  readonly ended: boolean;
  /** Rejects with ProcessEnded when there will be no answer. */
  ask(question: object): Promise<Answer>;
  close(): Promise<void>;
}

function startSearchProcess({ python, logFile }: SearchOptions): SearchProcess {
  const child = spawn(python, [pythonScript("tuning_search.py")], {
    stdio: ["pipe", "pipe", "pipe"],
    env: pythonEnvironment(process.env),
  });
  const waiting = new Map<
    number,
    { resolve: (answer: Answer) => void; reject: (error: Error) => void }
  >();
  const lastWords = recordStderr(child, logFile);
  let nextId = 1;
  let ended = false;
  const gone = new Promise<void>((resolve) => {
    const end = (): void => {
      ended = true;
      const error = new ProcessEnded(
        `the tuning search ended: ${lastWords.text()}. Its log is ${logFile}`,
      );
      for (const { reject } of waiting.values()) reject(error);
      waiting.clear();
      resolve();
    };
    child.once("error", (error) => {
      lastWords.push(error.message);
      end();
    });
    child.once("close", end);
  });
  child.stdin.on("error", () => {}); // The process is gone: `close` follows.
  createInterface({ input: child.stdout }).on("line", (line) => {
    const answer = answerSchema.parse(JSON.parse(line));
    waiting.get(answer.id)?.resolve(answer);
    waiting.delete(answer.id);
  });
  return {
    get ended() {
      return ended;
    },
    ask: (question) =>
      new Promise((resolve, reject) => {
        const id = nextId++;
        waiting.set(id, { resolve, reject });
        if (ended) reject(new ProcessEnded(lastWords.text()));
        else child.stdin.write(`${JSON.stringify({ id, ...question })}\n`);
      }),
    close: async () => {
      child.stdin.end(); // It has nothing to finish.
      await gone;
    },
  };
}

function unexpected(answer: Answer): Error {
  return new Error(
    "error" in answer
      ? `the tuning search failed: ${answer.error}`
      : "an answer to another question",
  );
}
