/** What outsiders need to start, signal, query and update the workflows. Imports no workflow code. */
import { defineQuery, defineSignal, defineUpdate } from "@temporalio/workflow";
import type { PromotionCommand } from "../fleet/promotion.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import type { PromotionStage } from "../fleet/stages.js";

/** Workflow types, as the Temporal web UI shows them. */
export const WORKFLOWS = {
  retrainFleet: "retrainFleet",
  retrainOnSchedule: "retrainOnSchedule",
  retrainShard: "retrainShard",
  retrainCohort: "retrainCohort",
  retrainModel: "retrainModel",
  releaseModel: "releaseModel",
  releaseCohort: "releaseCohort",
  serveEndpoint: "serveEndpoint",
  withdrawModel: "withdrawModel",
  withdrawCohort: "withdrawCohort",
  destroyFleet: "destroyFleet",
  collectFleet: "collectFleet",
  watchDrift: "watchDrift",
  watchRegistry: "watchRegistry",
  watchJobs: "watchJobs",
} as const;

/** Task queues: workflows and AWS calls; and, with few slots, the warehouse. */
export const TASK_QUEUES = { control: "modelfleet", warehouse: "modelfleet-warehouse" } as const;

export const workflowIds = {
  retrainFleet: (fleet: string, cycle: string) => `retrain-fleet/${fleet}/${cycle}`,
  /** Temporal appends the time that it was due: `…-2026-12-01T03:00:00Z`. */
  retrainOnSchedule: (fleet: string) => `retrain-on-schedule/${fleet}`,
  retrainShard: (fleet: string, cycle: string, shard: number) =>
    `retrain-shard/${fleet}/${cycle}/${shard}`,
  retrainCohort: (fleet: string, cycle: string) => `retrain-cohort/${fleet}/${cycle}`,
  retrainModel: (fleet: string, customerKey: string, cycle: string) =>
    `retrain/${fleet}/${customerKey}/${cycle}`,
  releaseModel: (fleet: string, customerKey: string, version: number) =>
    `release/${fleet}/${customerKey}/${version}`,
  releaseCohort: (fleet: string, version: number) => `release-cohort/${fleet}/${version}`,
  serveEndpoint: (fleet: string, stage: string) => `endpoint/${fleet}/${stage}`,
  withdrawModel: (fleet: string, customerKey: string, version: number) =>
    `withdraw/${fleet}/${customerKey}/${version}`,
  withdrawCohort: (fleet: string, version: number) => `withdraw-cohort/${fleet}/${version}`,
  destroyFleet: (fleet: string) => `destroy-fleet/${fleet}`,
  /** Looks only, and so keeps nobody from destroying. */
  inspectFleet: (fleet: string) => `inspect-fleet/${fleet}`,
  collectFleet: (fleet: string) => `collect-fleet/${fleet}`,
  /** Looks only, and so keeps nobody from collecting. */
  inspectCollection: (fleet: string) => `inspect-collection/${fleet}`,
  watchDrift: (fleet: string, run: string) => `watch-drift/${fleet}/${run}`,
  /** Temporal appends the time that it was due. */
  watchDriftOnSchedule: (fleet: string) => `watch-drift/${fleet}`,
  watchRegistry: (account: string, region: string) => `watch-registry/${account}/${region}`,
  watchJobs: (account: string, region: string) => `watch-jobs/${account}/${region}`,
} as const;

/** The Temporal Schedule of a fleet. */
export const scheduleId = (fleet: string): string => `fleet/${fleet}`;

/** That of its looks for drift. */
export const driftScheduleId = (fleet: string): string => `drift/${fleet}`;

/** Durations that tests shorten. Seconds. */
export interface Pace {
  /** After this long without a signal, one Describe looks for the job. */
  readonly guardSeconds: number;
  /** A withdrawal goes on to the stage before when one has not answered for this long. */
  readonly headStartSeconds: number;
  /** Publications that arrive within this time share a batch. */
  readonly collectSeconds: number;
  /**
   * Before another round of a job that SageMaker itself failed, and before another refresh when one failed that a
   * withdrawal waits for; doubled for the round after.
   */
  readonly roundSeconds: number;
  /** Without a publication for this long an endpoint's workflow ends; the next one starts it again. */
  readonly idleSeconds: number;
  /** Clients follow the pointer within this time; only then is a withdrawn artifact taken away. */
  readonly graceSeconds: number;
}
export const DEFAULT_PACE: Pace = {
  guardSeconds: 15 * 60,
  headStartSeconds: 20,
  collectSeconds: 2,
  roundSeconds: 2 * 60,
  idleSeconds: 60 * 60,
  graceSeconds: 30,
};

export interface RetrainFleetInput {
  readonly spec: FleetSpec;
  /** ISO time the cycle is for; by default the schedule's nominal time, else the start time. */
  readonly at?: string;
  /** Train also the customers whose data, code and spec are those of their champion. */
  readonly force?: boolean;
  /** One training job in place of each search: shows that the whole path works. A cycle of its own. */
  readonly testing?: boolean;
  /** Trains the customers that the drift run of the same id has chosen. A cycle of its own. */
  readonly drift?: boolean;
  readonly pace?: Pace;
}

export interface WatchDriftInput {
  readonly spec: FleetSpec;
  /** ISO time the run is for; by default the schedule's nominal time, else the start time. */
  readonly at?: string;
  /** Only tells what it would do. */
  readonly dryRun?: boolean;
  readonly pace?: Pace;
}

/** Customers by what a look for drift found. */
export interface DriftReport {
  readonly fleet: string;
  readonly run: string;
  /** With a model that serves. */
  readonly customers: number;
  /** With enough rows in both windows. */
  readonly compared: number;
  /** Whose model was asked about new rows. */
  readonly scored: number;
  readonly drifted: number;
  /** Of those, retrained by this run; or, of one that only looks, that would be. */
  readonly retrain: number;
  /** The cycle that retrains them, when there are any; null in a run that only looks. */
  readonly cycle: string | null;
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

export type ScheduledOutcome =
  | { readonly kind: "ran"; readonly report: CycleReport }
  /** The cycle runs already, or has completed: it is left as it is. */
  | { readonly kind: "found"; readonly fleet: string; readonly cycle: string };

/** Where a fleet's models serve. */
export interface FleetStages {
  /** The first one. */
  readonly stage: string;
  /** Of a fleet with several, or with approvals by stage: all of them, in order. */
  readonly stages?: readonly PromotionStage[];
}

export interface RetrainShardInput extends FleetStages {
  readonly fleet: string;
  readonly cycle: string;
  readonly shard: number;
  /** The fleet searches hyperparameters: a tuning job in place of a training job. */
  readonly tune: boolean;
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
  /** Customers that were not begun with, once the cycle's budget had no room for another job. */
  readonly overBudget?: { readonly customers: number; readonly because: string };
}

/** All customers of a cycle whose fleet trains them in one sharded job. */
export interface RetrainCohortInput extends FleetStages {
  readonly fleet: string;
  readonly cycle: string;
  readonly pace: Pace;
}

export interface RetrainModelInput extends FleetStages {
  readonly fleet: string;
  readonly cycle: string;
  readonly customerKey: string;
  /** By a tuning job, whose best training job is evaluated; else by one training job. */
  readonly tune: boolean;
  readonly pace: Pace;
}

export type RetrainOutcome =
  | { readonly kind: "registered"; readonly version: number }
  | { readonly kind: "champion-kept"; readonly because: string }
  /** No job was started: the cycle's budget has no room for it. */
  | { readonly kind: "over-budget"; readonly because: string };

export interface ReleaseModelInput extends FleetStages {
  readonly fleet: string;
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
  /** What InvokeEndpoint is called with; null on an endpoint of the customer's own. */
  | { readonly kind: "serving"; readonly targetModel: string | null }
  | { readonly kind: "denied"; readonly by: string; readonly note: string }
  | { readonly kind: "superseded"; readonly version: number }
  | { readonly kind: "expired"; readonly after: string }
  | { readonly kind: "rejected"; readonly because: string };

export interface ReleaseCohortInput extends FleetStages {
  readonly fleet: string;
  readonly cycle: string;
  readonly version: number;
  readonly members: number;
  /** Set when the policy approved every member; else a person decides about all. */
  readonly approvedBy?: string;
  /** The members in figures, shown to who decides. */
  readonly evaluation: string;
  readonly pace: Pace;
}

export type CohortOutcome =
  | {
      readonly kind: "serving";
      readonly serving: number;
      /** Approved, but not published: the ledger has each one's reason. */
      readonly rejected: number;
      /** By name, when the rest was approved. */
      readonly leftOut: number;
    }
  | Exclude<ReleaseOutcome, { readonly kind: "serving" }>;

export interface ServeEndpointInput {
  readonly fleet: string;
  readonly stage: string;
  readonly pace: Pace;
  /** What had been asked for when the previous run continued as new. */
  readonly wanted?: readonly Publication[];
  readonly withdrawals?: readonly Withdrawal[];
  /** Customers whose overwritten artifact may still be in the containers' memory: a refresh is owed. */
  readonly unsure?: readonly string[];
  /** Cohorts that are being published and withdrawn, and how far each has come. */
  readonly cohorts?: readonly CohortCourse[];
  /** When the last refresh was made: the next one's name must be another. */
  readonly refreshedAt?: string;
}

/** All members of one cohort that shall serve. */
export interface CohortPublication {
  readonly version: number;
  /** The release workflow that waits for the outcome. */
  readonly releaseWorkflowId: string;
}

/** All members of one cohort that shall not serve any more. */
export interface CohortWithdrawal {
  readonly version: number;
  readonly withdrawWorkflowId: string;
}

/** One cohort on an endpoint's desk. Members are gone through in the order of their keys, `after` the last one done. */
export type CohortCourse =
  | {
      readonly kind: "publish";
      readonly publication: CohortPublication;
      readonly step: "copy" | "verify" | "point";
      readonly after: string;
      /** Some of the sample did not answer as in training, so each member is asked. */
      readonly verifyAll: boolean;
    }
  | {
      readonly kind: "withdraw";
      readonly withdrawal: CohortWithdrawal;
      readonly after: string;
      /** The endpoint runs the code of what serves in the end: what needs that can be done now. */
      readonly refreshed: boolean;
    };

/** Of a publication of a cohort in one stage. */
export interface CohortPublished {
  readonly stage: string;
  readonly version: number;
  readonly serving: number;
  readonly rejected: number;
  readonly leftOut: number;
  /** Why there are rejected ones, or none that serve: one reason of many. */
  readonly because: string | null;
}

/** Of a withdrawal of a cohort from one stage. */
export interface CohortWithdrawn {
  readonly stage: string;
  readonly version: number;
  /** Customers who are served by another version now. */
  readonly moved: number;
  /** Customers who have no model now. */
  readonly removed: number;
  /** Members that still serve. */
  readonly open: number;
  /** Why there are open ones. */
  readonly because: string | null;
}

export interface WithdrawCohortInput {
  readonly fleet: string;
  /** One of its fleet's: what stages it has reached, the ledger knows. */
  readonly stage: string;
  readonly version: number;
  readonly decision: Decision;
  readonly pace: Pace;
}

/** One version of one customer's model that shall serve. */
export interface Publication {
  readonly customerKey: string;
  readonly version: number;
  /** The release workflow that waits for the outcome. */
  readonly releaseWorkflowId: string;
}

export interface WithdrawModelInput {
  readonly fleet: string;
  /** One that serves it, or was about to: what other stages it has reached, the ledger knows. */
  readonly stage: string;
  readonly customerKey: string;
  /** The version that shall no longer serve. */
  readonly version: number;
  readonly decision: Decision;
  /** The version to go back to; by default the newest other approved one that has served or could. */
  readonly to?: number;
  /** Nobody denies it: its customer has left, and nothing serves instead. */
  readonly retire?: true;
  readonly pace: Pace;
}

/** What serves a customer in a stage after a withdrawal; null: nothing does. */
export interface WithdrawalOutcome {
  readonly version: number;
  readonly stage: string;
  readonly servesNow: { readonly version: number; readonly targetModel: string | null } | null;
}

export interface Withdrawal {
  readonly customerKey: string;
  readonly version: number;
  readonly to?: number;
  readonly withdrawWorkflowId: string;
}

export interface DestroyFleetInput {
  readonly fleet: string;
  /** Only this stage; by default the whole fleet. */
  readonly stage?: string;
  /** Cycles that run are cancelled; else the fleet is not destroyed. */
  readonly cancel: boolean;
  /** The person who wants it. */
  readonly by: string;
  /** Only tells what there is. */
  readonly dryRun: boolean;
}

export interface CollectFleetInput {
  readonly fleet: string;
  /** The person, or the program, that wants it. */
  readonly by: string;
  /** Only tells what would go. */
  readonly dryRun: boolean;
  readonly pace?: Pace;
}

export interface WatchJobsInput {
  readonly account: string;
  readonly region: string;
}

export interface WatchRegistryInput {
  readonly account: string;
  readonly region: string;
}

export interface JobEnded {
  readonly jobName: string;
  /** SageMaker's TrainingJobStatus; of a search that found no model, Failed. */
  readonly status: string;
  readonly failureReason?: string;
  /** Of a tuning job that completed: the one of its training jobs whose model is evaluated. */
  readonly bestTrainingJobName?: string;
}

export interface Decision {
  readonly verdict: "approve" | "deny";
  readonly by: string;
  readonly note?: string;
  /** Of an approval of a cohort: customers (or their keys) whose champion stays. */
  readonly except?: readonly string[];
}

export type PublicationOutcome = { readonly stage: string; readonly version: number } & (
  | { readonly kind: "serving"; readonly targetModel: string | null }
  | { readonly kind: "rejected"; readonly because: string }
);

/** To retrainModel and retrainCohort, from the job watcher: the job has reached an end. */
export const jobEnded = defineSignal<[JobEnded]>("jobEnded");
/** To releaseModel and releaseCohort: decide; refused without a history event when it cannot be taken, with the reason. */
export const decide = defineUpdate<Decision, [Decision]>("decide");
/** To releaseModel and releaseCohort, for the web UI and `temporal workflow signal`. */
export const approve =
  defineSignal<[{ by: string; note?: string; except?: readonly string[] }]>("approve");
export const deny = defineSignal<[{ by: string; note?: string }]>("deny");
/** To releaseModel and releaseCohort, from the activity that registers: a newer version is there. */
export const superseded = defineSignal<[{ version: number }]>("superseded");
/** To releaseModel and releaseCohort, from the activity that records a newer one's way: that one is approved and serves. */
export const overtaken = defineSignal<[{ version: number }]>("overtaken");
/** To releaseModel and releaseCohort: hold, release, skip a stage, hurry, approve for a stage; refused with the reason. */
export const promote = defineUpdate<PromotionCommand, [PromotionCommand]>("promote");
/** To serveEndpoint, from releaseModel by way of an activity that signals with start. */
export const publish = defineSignal<[Publication]>("publish");
/** To releaseModel, from the endpoint's workflow. */
export const published = defineSignal<[PublicationOutcome]>("published");
/** To serveEndpoint, from releaseCohort: publish all members. Asked twice is asked once. */
export const publishCohort = defineSignal<[CohortPublication]>("publishCohort");
/** To releaseCohort, from the endpoint's workflow. */
export const cohortPublished = defineSignal<[CohortPublished]>("cohortPublished");
/** To serveEndpoint, from withdrawCohort: no member must serve any more. */
export const withdrawMembers = defineSignal<[CohortWithdrawal]>("withdrawMembers");
/** To withdrawCohort, from the endpoint's workflow. */
export const membersWithdrawn = defineSignal<[CohortWithdrawn]>("membersWithdrawn");
/** To serveEndpoint: this version must not serve any more. */
export const withdraw = defineSignal<[Withdrawal]>("withdraw");
/** To withdrawModel, from the endpoint's workflow. */
export const withdrawn = defineSignal<[WithdrawalOutcome]>("withdrawn");
/** To withdrawModel: why the version still serves; it is tried again. */
export const withdrawalDelayed =
  defineSignal<[{ version: number; because: string }]>("withdrawalDelayed");
/**
 * To watchJobs and watchRegistry, with start: there is something to watch, even if the watcher is about to end
 * for want of it.
 */
export const wake = defineSignal("wake");
/** To retrainFleet, from its shards, every few customers. */
export const shardProgress =
  defineSignal<[{ shard: number; totals: ShardTotals }]>("shardProgress");
/** Of retrainFleet: where the cycle stands. */
export const cycleStatus = defineQuery<{ phase: string; report: CycleReport }>("cycleStatus");
