/** The life of one tuning job: it launches training jobs, learns from each that ends, and ends itself. */
import type { ResourceKey } from "./arns.js";
import type { AccountQuotas } from "./config.schema.js";
import { internalServerError } from "./job-failure.js";
import { persistently } from "./persistently.js";
import { nextStep } from "./tuning-completion.js";
import { nextPoint } from "./tuning-next-point.js";
import type { TuningJob } from "./tuning-request.js";
import { loadTuningState, recordsOf, shownProgress } from "./tuning-state.js";
import type { TuningState } from "./tuning-state.js";
import { followTrial, keyOfTrial, launchTrial } from "./tuning-trial-run.js";
import type { TrialRunParts } from "./tuning-trial-run.js";
import { isFinished } from "./tuning-trials.js";
import type { TrialRecord } from "./tuning-trials.js";

export interface TuningLifeParts extends TrialRunParts {
  readonly quotas: AccountQuotas;
}

/** Why a search has to end before it is done. */
export type TuningEndRequest = "stop" | "max-runtime" | "shutdown";

export interface TuningLife {
  readonly key: ResourceKey<"hyper-parameter-tuning-job">;
  /** Aborted with a TuningEndRequest as its reason. */
  readonly ending: AbortController;
  /** Aborted when the server ends, also when the search has been asked to end already. */
  readonly closing: AbortSignal;
}

type Outcome =
  | { readonly status: "Completed" | "Stopped" }
  | { readonly status: "Failed"; readonly reason: string };

/** Rejects only when the store refuses what it is told. */
export async function liveTuningJob(parts: TuningLifeParts, life: TuningLife): Promise<void> {
  const row = await persistently(() => parts.store.find(life.key));
  if (row === undefined) return;
  const tuning = await loadTuningState(parts.store, row, parts.quotas);
  const trials = createTrials(parts, tuning, life);
  const limit = stopAfterMaxRuntime(tuning, life.ending);
  const outcome = await search(parts, trials, life).catch((error: unknown): Outcome => {
    if (!life.closing.aborted) parts.onUnexpected(error, life.key);
    return { status: "Failed", reason: internalServerError };
  });
  clearTimeout(limit);
  if (!life.closing.aborted) await trials.stopAll();
  await trials.allEnded();
  if (life.closing.aborted) return; // The next start of the server takes it up again.
  await trials.show(ending(outcome));
}

async function search(
  { search: tuningSearch }: TuningLifeParts,
  trials: Trials,
  { ending: { signal } }: TuningLife,
): Promise<Outcome> {
  const { tuning } = trials;
  let pointsAreLeft = true;
  for (;;) {
    await trials.showChanges();
    if (signal.aborted)
      return signal.reason === "max-runtime" ? outOfTime(tuning) : { status: "Stopped" };
    const step = nextStep(tuning.plan, recordsOf(tuning), pointsAreLeft);
    switch (step.kind) {
      case "launch": {
        const point = await nextPoint(tuning, tuningSearch);
        if (point === undefined) pointsAreLeft = false;
        else if (!signal.aborted) await trials.launch(point);
        break;
      }
      case "wait":
        await trials.change();
        break;
      case "complete":
        return { status: "Completed" };
      case "fail":
        return { status: "Failed", reason: step.reason };
    }
  }
}

/** The time limit is one of the ways to complete a search; without any result it was in vain. */
function outOfTime(tuning: TuningState): Outcome {
  const hasResult = recordsOf(tuning).some(({ trial }) => trial.objective !== undefined);
  if (hasResult) return { status: "Completed" };
  return { status: "Failed", reason: "No training job succeeded within MaxRuntimeInSeconds." };
}

function ending(outcome: Outcome): Partial<TuningJob> {
  return {
    HyperParameterTuningJobStatus: outcome.status,
    HyperParameterTuningEndTime: Date.now() / 1000,
    ...(outcome.status === "Failed" && { FailureReason: outcome.reason }),
  };
}

type Trials = ReturnType<typeof createTrials>;

/** The training jobs of the search: those that the store knows, and those that are launched now. */
function createTrials(parts: TuningLifeParts, tuning: TuningState, life: TuningLife) {
  const following = new Set<Promise<void>>();
  const bell = createBell();
  let hasChanged = true;
  let trouble: { readonly error: unknown } | undefined;
  life.ending.signal.addEventListener("abort", bell.ring, { once: true });

  const set = (record: TrialRecord): void => {
    tuning.records.set(record.trial.number, record);
    hasChanged = true;
    bell.ring();
  };
  const follow = (record: TrialRecord): void => {
    const followed: Promise<void> = followTrial(parts, tuning, record)
      .then((ended) => ended && set(ended))
      .catch((error: unknown) => {
        trouble = { error };
        bell.ring();
      })
      .finally(() => following.delete(followed));
    following.add(followed);
  };
  const running = () => recordsOf(tuning).filter((record) => !isFinished(record));
  const show = async (change: Partial<TuningJob> = {}): Promise<void> => {
    const modifiedAt = Date.now() / 1000;
    const document = { ...shownProgress(tuning), ...change, LastModifiedTime: modifiedAt };
    const { HyperParameterTuningJobStatus: status } = change;
    const update = { document, modifiedAt, ...(status && { status }) };
    await persistently(() => parts.store.update(life.key, update));
  };
  running().forEach(follow);

  return {
    tuning,
    show,

    async launch(point: Parameters<typeof launchTrial>[2]): Promise<void> {
      const record = await launchTrial(parts, tuning, point);
      set(record);
      follow(record);
    },

    /** One writer, so that an older count never overwrites a newer one. */
    async showChanges(): Promise<void> {
      if (trouble !== undefined) throw trouble.error;
      if (!hasChanged) return;
      hasChanged = false;
      await show();
    },

    /** Resolves when a job has ended, or the search is asked to. */
    change: bell.heard,

    async stopAll(): Promise<void> {
      for (const record of running()) await parts.runs.stop(keyOfTrial(tuning, record));
    },

    async allEnded(): Promise<void> {
      await Promise.all(following);
    },
  };
}

/** Whoever waits hears it ring, also when it rang before. */
function createBell() {
  let hasRung = false;
  let listener: (() => void) | undefined;
  return {
    ring: (): void => {
      hasRung = true;
      listener?.();
    },
    heard: async (): Promise<void> => {
      if (!hasRung) await new Promise<void>((resolve) => (listener = resolve));
      hasRung = false;
    },
  };
}

/** From the creation on, also over a restart of the server. */
function stopAfterMaxRuntime(
  { plan, createdAt }: TuningState,
  ending: AbortController,
): NodeJS.Timeout | undefined {
  if (plan.maxRuntimeSeconds === undefined) return undefined;
  const ms = (createdAt + plan.maxRuntimeSeconds) * 1000 - Date.now();
  const longestTimerMs = 2 ** 31 - 1; // Node's; a little under 25 days.
  const end = () => ending.abort("max-runtime" satisfies TuningEndRequest);
  return setTimeout(end, Math.min(Math.max(ms, 0), longestTimerMs));
}
