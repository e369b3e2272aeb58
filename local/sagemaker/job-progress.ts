/** Writes the course of one processing or transform job to the store, one step after the other. */
import type { ResourceKey } from "./arns.js";
import type { Documents } from "./documents.js";
import { persistently } from "./persistently.js";
import type { Change, Store } from "./store.js";
import { failureReason } from "./training-status.js";

/** Kinds of jobs without secondary status: InProgress, Stopping, and how they ended. */
export type JobKind = "processing-job" | "transform-job";

export type JobEnding =
  | { readonly status: "Completed" }
  | { readonly status: "Stopped" }
  | { readonly status: "Failed"; readonly reason: string };

/** How a kind's Describe tells what happened to a job: the names of its members differ. */
export interface JobWords<K extends JobKind> {
  status(status: JobEnding["status"] | "Stopping", at: number): Partial<Documents[K]>;
  started(at: number): Partial<Documents[K]>;
  ended(at: number, failureReason?: string): Partial<Documents[K]>;
}

export type JobProgress<K extends JobKind> = ReturnType<typeof createJobProgress<K>>;

export function createJobProgress<K extends JobKind>(
  store: Store,
  key: ResourceKey<K>,
  words: JobWords<K>,
) {
  let written: Promise<void> = Promise.resolve();
  let abandoned = false;
  let isStopping = false;
  let told: Partial<Documents[K]> = {};

  const write = (change: Change<K>): Promise<void> => {
    written = written.then(async () => {
      if (!abandoned) await persistently(() => store.update(key, change));
    });
    return written;
  };

  return {
    /** Its instances run from now on: a server that dies has lost them. */
    started(): Promise<void> {
      const modifiedAt = now();
      return write({ document: words.started(modifiedAt), modifiedAt });
    },

    stopping(): Promise<void> {
      if (isStopping) return written;
      isStopping = true;
      const modifiedAt = now();
      const document = words.status("Stopping", modifiedAt);
      return write({ document, status: "Stopping", modifiedAt });
    },

    /** Members that Describe shows once the job has ended, however it ends. */
    tellAtEnd(members: Partial<Documents[K]>): void {
      told = { ...told, ...members };
    },

    end(ending: JobEnding): Promise<void> {
      const at = now();
      const reason = ending.status === "Failed" ? failureReason(ending.reason) : undefined;
      const document = {
        ...told,
        ...words.status(ending.status, at),
        ...words.ended(at, reason),
      };
      return write({ document, status: ending.status, modifiedAt: at });
    },

    /** Nothing more is written: the server ends, and its successor will tell the job's fate. */
    abandon(): void {
      abandoned = true;
    },
  };
}

const now = () => Date.now() / 1000;
