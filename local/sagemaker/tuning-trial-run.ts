/** One training job of a tuning job: launched, watched while it reports its objective, and judged by it. */
import { randomBytes } from "node:crypto";
import { arnOf } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import type { Trial } from "./documents.js";
import type { Metric } from "./metrics.js";
import { persistently } from "./persistently.js";
import type { Row, Store } from "./store.js";
import { requireMembers } from "./training-checks.js";
import { newTrainingJob } from "./training-document.js";
import type { TrainingRuns } from "./training-runs.js";
import { objectiveParameter, trainingRequest } from "./tuning-definition.js";
import { isRung, isWorseThanMedian } from "./tuning-early-stopping.js";
import { isToBeCut } from "./tuning-next-point.js";
import { textOf } from "./tuning-ranges.js";
import type { Point } from "./tuning-ranges.js";
import type { TuningSearch } from "./tuning-search.js";
import { recordsOf } from "./tuning-state.js";
import type { TuningState } from "./tuning-state.js";
import { finalObjective, isFinished, recordOf } from "./tuning-trials.js";
import type { TrialRecord } from "./tuning-trials.js";

export interface TrialRunParts {
  readonly store: Store;
  readonly runs: TrainingRuns;
  readonly search: TuningSearch;
  readonly onUnexpected: (error: unknown, key: ResourceKey) => void;
}

/** A script that prints for ever must not fill the memory. Also Hyperband's largest MaxResource. */
const maxReported = 20_000;

/** Launches the next training job, an ordinary one, at this point. */
export async function launchTrial(
  { store, runs }: TrialRunParts,
  tuning: TuningState,
  point: Point,
): Promise<TrialRecord> {
  const { plan, definition } = tuning;
  const number = tuning.records.size + 1;
  const tuned = Object.fromEntries(
    plan.ranges.map((range) => [range.name, textOf(range, point[range.name] ?? "")]),
  );
  const hyperParameters = { ...tuned, [objectiveParameter]: plan.objective.metric };
  const trial: Trial = { number, tuned };
  for (;;) {
    const key = trialKey(tuning, number);
    const request = trainingRequest(definition, { name: key.name, hyperParameters });
    const row = await persistently(() => insert(store, tuning, { key, request, trial }));
    if (row === undefined) continue; // Somebody else's job has this name: another one will be free.
    runs.start(key, row.document);
    return recordOf(row, trial, plan.objective, tuning.name);
  }
}

function trialKey({ key, name }: TuningState, number: number): ResourceKey<"training-job"> {
  const suffix = `${String(number).padStart(3, "0")}-${randomBytes(4).toString("hex")}`;
  const { account, region } = key;
  return { account, region, kind: "training-job", name: `${name}-${suffix}` };
}

/** Safe to repeat when nobody knows whether it happened. */
async function insert(
  store: Store,
  tuning: TuningState,
  job: {
    key: ResourceKey<"training-job">;
    request: ReturnType<typeof trainingRequest>;
    trial: Trial;
  },
): Promise<Row<"training-job"> | undefined> {
  const { key, request, trial } = job;
  const TuningJobArn = arnOf(tuning.key);
  const createdAt = Date.now() / 1000;
  await store.insert(key, {
    document: { ...newTrainingJob(key, requireMembers(request), createdAt), TuningJobArn },
    // The tuning job holds the instances for all of its training jobs.
    hidden: { instances: {}, trial },
    // Tags that the tuning job gets later reach the jobs that are launched later.
    tags: (await store.find(tuning.key))?.tags ?? [],
    ...{ status: "InProgress", parent: TuningJobArn, createdAt },
  });
  const row = await store.find(key);
  return row?.document.TuningJobArn === TuningJobArn ? row : undefined;
}

/** Resolves to the job as it ended; undefined when the server ends before the job does. */
export async function followTrial(
  parts: TrialRunParts,
  tuning: TuningState,
  record: TrialRecord,
): Promise<TrialRecord | undefined> {
  const { store, runs } = parts;
  const { objective } = tuning.plan;
  const key = keyOfTrial(tuning, record);
  const watch = createWatch(parts, tuning, record);
  await runs.watch(key, watch.onMetric);
  const row = await persistently(() => store.find(key));
  if (row === undefined) throw new Error(`training job ${key.name} is gone`);
  const trial = watch.verdict(row);
  const ended = recordOf(row, trial, objective, tuning.name);
  if (!isFinished(ended)) return undefined;
  const { modifiedAt } = row;
  await persistently(() => store.update(key, { hidden: { trial }, modifiedAt }));
  return ended;
}

export function keyOfTrial(
  { key: { account, region } }: TuningState,
  { summary }: TrialRecord,
): ResourceKey<"training-job"> {
  return { account, region, kind: "training-job", name: summary.TrainingJobName ?? "" };
}

/** Listens to one job, and stops it when the search has no use for it any more. */
function createWatch(parts: TrialRunParts, tuning: TuningState, record: TrialRecord) {
  const { plan, records } = tuning;
  const { number } = record.trial;
  const key = keyOfTrial(tuning, record);
  const keeps = plan.stopsEarly || plan.hyperband !== undefined;
  const reported: number[] = [];
  let cut: Trial["cut"];

  const stop = async (reason: NonNullable<Trial["cut"]>): Promise<void> => {
    if (cut !== undefined) return;
    cut = reason;
    await parts.runs.stop(key);
  };
  const judge = async (): Promise<void> => {
    const { hyperband } = plan;
    if (plan.stopsEarly && isWorseThanMedian(plan.objective, reported, earlierJobs(tuning)))
      return stop("median");
    if (hyperband === undefined) return;
    // A script that is to run for exactly MaxResource values ends by itself, with its model.
    if (reported.length > hyperband.maxResource) return stop("max-resource");
    if (!isRung(hyperband, reported.length)) return;
    // The others are judged by this job's value too.
    records.set(number, { ...record, trial: { ...record.trial, reported: [...reported] } });
    if (await isToBeCut(tuning, parts.search, number)) return stop("rung");
  };
  return {
    onMetric: ({ MetricName, Value }: Metric): void => {
      const isObjective = MetricName === plan.objective.metric;
      if (!keeps || !isObjective || cut !== undefined || reported.length >= maxReported) return;
      reported.push(Value);
      judge().catch((error: unknown) => parts.onUnexpected(error, key));
    },

    /** A job that ended by itself before it could be stopped was not cut. */
    verdict(row: Row<"training-job">): Trial {
      const value = finalObjective(row, plan.objective);
      return {
        ...record.trial,
        ...(value !== undefined && { objective: value }),
        ...(cut !== undefined && row.status === "Stopped" && { cut }),
        ...(keeps && { reported }),
      };
    },
  };
}

function earlierJobs(tuning: TuningState): (readonly number[])[] {
  return recordsOf(tuning)
    .filter(({ summary }) => summary.TrainingJobStatus === "Completed")
    .map(({ trial }) => trial.reported ?? []);
}
