/** The checkpoints of one run of a training job: restored at its start, uploaded while it runs and at its end. */
import { checkpointPlace } from "./checkpoint-place.js";
import { makeCheckpointFolders, restoreCheckpoints } from "./checkpoint-restore.js";
import { createCheckpointSync } from "./checkpoint-sync.js";
import { JobFailure } from "./job-failure.js";
import type { Objects } from "./objects.js";
import type { Host } from "./training-files.js";
import type { TrainingJob } from "./training-status.js";

export interface Checkpoints {
  /** How many files this run has uploaded, all hosts together. */
  readonly uploaded: () => number;
  begin(): Promise<void>;
  /**
   * The scripts have ended. A lost host's folder is lost with it; that of the others is uploaded a last
   * time. Throws JobFailure when that cannot be done.
   */
  finish(lost?: Host): Promise<void>;
  /** The server ends: what is not in S3 yet is lost, as with a machine. */
  abandon(): Promise<void>;
}

export interface CheckpointRun {
  readonly objects: Objects;
  readonly job: TrainingJob;
  readonly hosts: readonly Host[];
  readonly signal: AbortSignal;
  readonly warn: (line: string) => void;
}

/** Fills the hosts' folders with what S3 has. Throws JobFailure when it cannot be read. */
export async function bringCheckpoints(run: CheckpointRun): Promise<Checkpoints> {
  const { objects, job, hosts, signal, warn } = run;
  let count = 0;
  const onUploaded = (): void => void count++;
  const syncs = (await restored(run)).map(({ place, folder }, index) => ({
    host: hosts[index],
    sync: createCheckpointSync({ objects, place, folder, onUploaded, warn }),
  }));
  signal.throwIfAborted();
  const endOf = async (lost?: Host): Promise<void> => {
    const ends = syncs.map(({ host, sync }) => (host === lost ? sync.abandon() : sync.finish()));
    // All of them, before anything is told: afterwards the folders are removed.
    const failed = (await Promise.allSettled(ends)).find(({ status }) => status === "rejected");
    if (failed?.status === "rejected") throw notUploaded(job, failed.reason);
  };
  return {
    uploaded: () => count,
    begin: async () => void (await Promise.all(syncs.map(({ sync }) => sync.begin()))),
    finish: endOf,
    abandon: async () => void (await Promise.all(syncs.map(({ sync }) => sync.abandon()))),
  };
}

/** A place and a folder for each host; none for a job without checkpoints. */
async function restored({ objects, job, hosts, signal }: CheckpointRun) {
  const place = checkpointPlace(job);
  if (place === undefined) return [];
  const baseDirs = hosts.map(({ baseDir }) => baseDir);
  const folders = await makeCheckpointFolders(place, baseDirs);
  await restoreCheckpoints(objects, place, folders, signal);
  return folders.map((folder) => ({ place, folder }));
}

function notUploaded({ CheckpointConfig }: TrainingJob, error: unknown): JobFailure {
  const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new JobFailure(
    `ClientError: Cannot upload the checkpoints to ${CheckpointConfig?.S3Uri ?? "S3"}: ${why}`,
  );
}
