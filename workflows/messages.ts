/** What outsiders need to start, signal, query and update the workflows. Imports no workflow code. */
import { defineQuery, defineSignal, defineUpdate } from "@temporalio/workflow";
import type { FleetSpec } from "../fleet/spec.schema.js";

/** Workflow types, as the Temporal web UI shows them. */
export const WORKFLOWS = {
  retrainFleet: "retrainFleet",
  retrainShard: "retrainShard",
  retrainModel: "retrainModel",
  releaseModel: "releaseModel",
  serveEndpoint: "serveEndpoint",
  watchJobs: "watchJobs",
} as const;

/** Task queues: workflows and AWS calls; and, with few slots, the warehouse. */
export const TASK_QUEUES = { control: "modelfleet", warehouse: "modelfleet-warehouse" } as const;

export const workflowIds = {
  retrainFleet: (fleet: string, cycle: string) => `retrain-fleet/${fleet}/${cycle}`,
  retrainShard: (fleet: string, cycle: string, shard: number) =>
    `retrain-shard/${fleet}/${cycle}/${shard}`,
  retrainModel: (fleet: string, customerKey: string, cycle: string) =>
    `retrain/${fleet}/${customerKey}/${cycle}`,
  releaseModel: (fleet: string, customerKey: string, version: number) =>
    `release/${fleet}/${customerKey}/${version}`,
  serveEndpoint: (fleet: string, stage: string) => `endpoint/${fleet}/${stage}`,
  watchJobs: (account: string, region: string) => `watch-jobs/${account}/${region}`,
} as const;

/** Durations that tests shorten. Seconds. */
export interface Pace {
  /** After this long without a signal, one Describe looks for the job. */
  readonly guardSeconds: number;
  /** Publications that arrive within this time share a batch. */
  readonly collectSeconds: number;
  /** Before another round of a job that SageMaker itself failed; doubled for the round after. */
  readonly roundSeconds: number;
  /** Without a publication for this long an endpoint's workflow ends; the next one starts it again. */
  readonly idleSeconds: number;
}
export const DEFAULT_PACE: Pace = {
  guardSeconds: 15 * 60,
  collectSeconds: 2,
  roundSeconds: 2 * 60,
  idleSeconds: 60 * 60,
};

export interface RetrainFleetInput {
  readonly spec: FleetSpec;
  /** ISO time the cycle is for; by default the schedule's nominal time, else the start time. */
  readonly at?: string;
  /** Train also the customers whose data, code and spec are those of their champion. */
  readonly force?: boolean;
  readonly pace?: Pace;
}

/** Customers by outcome, when a cycle's challengers are registered. Releases go on by themselves. */
export interface CycleReport {
  readonly fleet: string;
  readonly cycle: string;
  readonly customers: number;
  readonly registered: number;
  readonly championKept: number;
  readonly skipped: number;
  readonly failed: number;
}

export interface RetrainShardInput {
  readonly fleet: string;
  readonly stage: string;
  readonly cycle: string;
  readonly shard: number;
  /** Customers in flight at a time. */
  readonly window: number;
  /** Customers done between two signals of progress to the cycle. */
  readonly progressStep: number;
  readonly pace: Pace;
}

/** Customers of one shard by outcome, so far or in the end. */
export interface ShardTotals {
  readonly registered: number;
  readonly championKept: number;
  readonly failed: number;
}

export interface RetrainModelInput {
  readonly fleet: string;
  readonly stage: string;
  readonly cycle: string;
  readonly customerKey: string;
  readonly pace: Pace;
}

export type RetrainOutcome =
  | { readonly kind: "registered"; readonly version: number }
  | { readonly kind: "champion-kept"; readonly because: string };

export interface ReleaseModelInput {
  readonly fleet: string;
  readonly stage: string;
  readonly cycle: string;
  readonly customerKey: string;
  readonly version: number;
  /** Set when the gate's policy approved the version; else a person decides. */
  readonly approvedBy?: string;
  /** The gate's reasons, shown to who decides. */
  readonly evaluation: string;
  readonly pace: Pace;
}

export type ReleaseOutcome =
  | { readonly kind: "serving"; readonly targetModel: string }
  | { readonly kind: "denied"; readonly by: string; readonly note: string }
  | { readonly kind: "rejected"; readonly because: string };

export interface ServeEndpointInput {
  readonly fleet: string;
  readonly stage: string;
  readonly pace: Pace;
  /** What had been asked for when the previous run continued as new. */
  readonly wanted?: readonly Publication[];
}

/** One version of one customer's model that shall serve. */
export interface Publication {
  readonly customerKey: string;
  readonly version: number;
  /** The release workflow that waits for the outcome. */
  readonly releaseWorkflowId: string;
}

export interface WatchJobsInput {
  readonly account: string;
  readonly region: string;
}

export interface JobEnded {
  readonly jobName: string;
  /** SageMaker's TrainingJobStatus. */
  readonly status: string;
  readonly failureReason?: string;
}

export interface Decision {
  readonly verdict: "approve" | "deny";
  readonly by: string;
  readonly note?: string;
}

export type PublicationOutcome =
  | { readonly kind: "serving"; readonly version: number; readonly targetModel: string }
  | { readonly kind: "rejected"; readonly version: number; readonly because: string };

/** To retrainModel, from the job watcher: the job has reached an end. */
export const jobEnded = defineSignal<[JobEnded]>("jobEnded");
/** To releaseModel: decide; refused without a history event when decided already or nobody is named. */
export const decide = defineUpdate<Decision, [Decision]>("decide");
/** To releaseModel, for the web UI and `temporal workflow signal`. */
export const approve = defineSignal<[{ by: string; note?: string }]>("approve");
export const deny = defineSignal<[{ by: string; note?: string }]>("deny");
/** To serveEndpoint, from releaseModel by way of an activity that signals with start. */
export const publish = defineSignal<[Publication]>("publish");
/** To releaseModel, from the endpoint's workflow. */
export const published = defineSignal<[PublicationOutcome]>("published");
/**
 * To watchJobs, with start: there is a job to watch, even if the watcher is about to end
 * for want of one.
 */
export const wake = defineSignal("wake");
/** To retrainFleet, from its shards, every few customers. */
export const shardProgress =
  defineSignal<[{ shard: number; totals: ShardTotals }]>("shardProgress");
/** Of retrainFleet: where the cycle stands. */
export const cycleStatus = defineQuery<{ phase: string; report: CycleReport }>("cycleStatus");
