/** A running tuning job in memory: nothing but what the store says, so that a restart of the server loses nothing. */
import { arnOf, keyOf } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import { persistently } from "./persistently.js";
import type { Row, Store } from "./store.js";
import { maxTrainingJobs } from "./tuning-checks.js";
import type { AccountQuotas } from "./config.schema.js";
import { objectiveParameter } from "./tuning-definition.js";
import { completionDetails } from "./tuning-completion.js";
import type { ParentTrial, Search, WarmStart } from "./tuning-history.js";
import { readPlan } from "./tuning-request.js";
import type { Definition, Objective, TuningJob, TuningPlan } from "./tuning-request.js";
import {
  bestOf,
  countersOf,
  finalObjective,
  isFinished,
  ownTrial,
  recordOf,
} from "./tuning-trials.js";
import type { TrialRecord } from "./tuning-trials.js";

export interface TuningState {
  readonly key: ResourceKey<"hyper-parameter-tuning-job">;
  /** As its owner writes it: upper and lower case. */
  readonly name: string;
  readonly definition: Definition;
  readonly plan: TuningPlan;
  readonly seed: number;
  readonly createdAt: number;
  readonly warmStart?: WarmStart;
  /** The best job of the parents; only on identical data can it be compared with this search's own. */
  readonly bestParentJob?: TrialRecord;
  /** By number, from 1 on. */
  readonly records: Map<number, TrialRecord>;
}

type TuningRow = Row<"hyper-parameter-tuning-job">;

/** More training jobs than any tuning job can have. */
const allJobs = 20_000;

export async function loadTuningState(
  store: Store,
  row: TuningRow,
  quotas: AccountQuotas,
): Promise<TuningState> {
  const { key, document, hidden } = row;
  const { TrainingJobDefinition: definition } = document;
  if (definition === undefined) throw new Error(`tuning job ${row.arn} has no definition`);
  const plan = readPlan(document);
  const parents = await loadParents(store, row, plan.objective);
  const records = await loadRecords(store, row, plan.objective);
  return {
    key,
    name: document.HyperParameterTuningJobName,
    definition,
    plan: { ...plan, maxJobs: Math.min(plan.maxJobs, maxTrainingJobs(plan, quotas)) },
    seed: hidden.seed,
    createdAt: row.createdAt,
    ...parents,
    records: new Map(records.map((record) => [record.trial.number, record])),
  };
}

/** What Describe shows of the training jobs. */
export function shownProgress(tuning: TuningState): Partial<TuningJob> {
  const { plan, bestParentJob, warmStart } = tuning;
  const records = recordsOf(tuning);
  const best = bestOf(records, plan.objective);
  const family = bestParentJob === undefined ? records : [...records, bestParentJob];
  const overallBest =
    warmStart?.type === "IdenticalDataAndAlgorithm" ? bestOf(family, plan.objective) : undefined;
  return {
    ...countersOf(records),
    ...(best && { BestTrainingJob: best }),
    ...(overallBest && { OverallBestTrainingJob: overallBest }),
    TuningJobCompletionDetails: completionDetails(plan, records),
  };
}

/** In the order of their numbers. */
export function recordsOf({ records }: TuningState): TrialRecord[] {
  return [...records.values()].sort((a, b) => a.trial.number - b.trial.number);
}

/** What the next point depends on. */
export function searchOf(tuning: TuningState): Search {
  const { plan, definition, warmStart } = tuning;
  return {
    ranges: plan.ranges,
    objective: plan.objective,
    statics: definition.StaticHyperParameters ?? {},
    own: recordsOf(tuning).map((record) => ownTrial(record, plan)),
    ...(warmStart && { warmStart }),
  };
}

/** Not those of an earlier tuning job of the same name, since deleted. */
async function childrenOf(
  store: Store,
  { key, arn, createdAt }: Pick<TuningRow, "key" | "arn" | "createdAt">,
): Promise<Row<"training-job">[]> {
  const { account, region } = key;
  return persistently(() =>
    store.list("training-job", {
      ...{ account, region, kind: "training-job", parent: arn, createdAfter: createdAt },
      ...{ sortBy: "created_at", descending: false, limit: allJobs },
    }),
  );
}

async function loadRecords(
  store: Store,
  row: TuningRow,
  objective: Objective,
): Promise<TrialRecord[]> {
  const name = row.document.HyperParameterTuningJobName;
  const records: TrialRecord[] = [];
  for (const child of await childrenOf(store, row)) {
    if (child.hidden.trial === undefined) continue;
    const record = recordOf(child, child.hidden.trial, objective, name);
    records.push(isFinished(record) ? await settle(store, child, record, objective) : record);
  }
  return records;
}

/** A job that ended while nobody looked: the server went down before its objective was written. */
async function settle(
  store: Store,
  child: Row<"training-job">,
  record: TrialRecord,
  objective: Objective,
): Promise<TrialRecord> {
  const value = finalObjective(child, objective);
  if (value === undefined || record.trial.objective !== undefined) return record;
  const trial = { ...record.trial, objective: value };
  const { key, modifiedAt } = child;
  await persistently(() => store.update(key, { hidden: { trial }, modifiedAt }));
  return recordOf(child, trial, objective, record.summary.TuningJobName ?? "");
}

async function loadParents(
  store: Store,
  { key, document }: TuningRow,
  objective: Objective,
): Promise<Pick<TuningState, "warmStart" | "bestParentJob">> {
  const { WarmStartConfig } = document;
  if (WarmStartConfig === undefined) return {};
  const parents: ParentTrial[][] = [];
  const records: TrialRecord[] = [];
  for (const {
    HyperParameterTuningJobName = "",
  } of WarmStartConfig.ParentHyperParameterTuningJobs) {
    const parent = keyOf(key, "hyper-parameter-tuning-job", HyperParameterTuningJobName);
    // One that was deleted since this search began has left its training jobs.
    const { createdAt = 0 } = (await persistently(() => store.find(parent))) ?? {};
    const children = await childrenOf(store, { key: parent, arn: arnOf(parent), createdAt });
    parents.push(children.flatMap(parentTrial));
    for (const child of children)
      if (child.hidden.trial !== undefined)
        records.push(recordOf(child, child.hidden.trial, objective, HyperParameterTuningJobName));
  }
  const best = bestOf(records, objective);
  const bestParentJob = records.find(({ summary }) => summary === best);
  const warmStart: WarmStart = { type: WarmStartConfig.WarmStartType, parents };
  return { warmStart, ...(bestParentJob && { bestParentJob }) };
}

function parentTrial({ document, hidden }: Row<"training-job">): ParentTrial[] {
  const objective = hidden.trial?.objective;
  if (objective === undefined) return [];
  const { [objectiveParameter]: _, ...hyperParameters } = document.HyperParameters ?? {};
  return [{ hyperParameters, objective }];
}
