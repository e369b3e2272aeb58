/** All activities without the outside world: what they were asked is kept, what they answer can be set. */
import { type Client, WorkflowNotFoundError } from "@temporalio/client";
import type { SignalDefinition } from "@temporalio/common";
import type { createApprovalActivities } from "../../activities/approval.js";
import type { createArtifactActivities } from "../../activities/artifacts.js";
import type { createCohortEvaluationActivities } from "../../activities/cohort-evaluation.js";
import type { createCohortPublicationActivities } from "../../activities/cohort-publication.js";
import type { createCohortRegistrationActivities } from "../../activities/cohort-registration.js";
import type { createCohortReleaseActivities } from "../../activities/cohort-release.js";
import type { createCohortWithdrawalActivities } from "../../activities/cohort-withdrawal.js";
import type { createCycleActivities } from "../../activities/cycles.js";
import type { createDatasetActivities } from "../../activities/datasets.js";
import type { createEndpointActivities } from "../../activities/endpoints.js";
import type { createEvaluationActivities } from "../../activities/evaluation.js";
import type { createFailureActivities } from "../../activities/failures.js";
import type { createHistoryFilesActivities } from "../../activities/history-files.js";
import type { createJobWatcherActivities } from "../../activities/job-watcher.js";
import type { createNotificationActivities } from "../../activities/notifications.js";
import type { createPromotionActivities } from "../../activities/promotion.js";
import type { createPublicationActivities } from "../../activities/publication.js";
import type { createRegistryActivities } from "../../activities/registry.js";
import type { createRegistryWatchActivities } from "../../activities/registry-watch.js";
import type { createShardedTrainingActivities } from "../../activities/sharded-training.js";
import type { createTrainingActivities, StartTrainingJobInput } from "../../activities/training.js";
import type { createTuningActivities } from "../../activities/tuning.js";
import type { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { fakePreparation, type PreparationActivities } from "./fake-preparation.js";
import { COHORT_KEY, targetModel } from "../../fleet/names.js";
import {
  cohortPublished,
  type CycleReport,
  jobEnded,
  type JobEnded,
  membersWithdrawn,
  type Publication,
  type PublicationOutcome,
  publish,
  publishCohort,
  published,
  withdraw,
  withdrawalDelayed,
  withdrawMembers,
  withdrawn,
  workflowIds,
  WORKFLOWS,
} from "../../workflows/messages.js";

export type Activities = ReturnType<typeof createApprovalActivities> &
  ReturnType<typeof createArtifactActivities> &
  ReturnType<typeof createCohortEvaluationActivities> &
  ReturnType<typeof createCohortPublicationActivities> &
  ReturnType<typeof createCohortRegistrationActivities> &
  ReturnType<typeof createCohortReleaseActivities> &
  ReturnType<typeof createCohortWithdrawalActivities> &
  ReturnType<typeof createCycleActivities> &
  ReturnType<typeof createDatasetActivities> &
  ReturnType<typeof createEndpointActivities> &
  ReturnType<typeof createEvaluationActivities> &
  ReturnType<typeof createFailureActivities> &
  ReturnType<typeof createHistoryFilesActivities> &
  ReturnType<typeof createJobWatcherActivities> &
  ReturnType<typeof createNotificationActivities> &
  ReturnType<typeof createPromotionActivities> &
  ReturnType<typeof createPublicationActivities> &
  ReturnType<typeof createRegistryActivities> &
  ReturnType<typeof createRegistryWatchActivities> &
  ReturnType<typeof createShardedTrainingActivities> &
  ReturnType<typeof createTrainingActivities> &
  ReturnType<typeof createTuningActivities> &
  ReturnType<typeof createWithdrawalActivities> &
  PreparationActivities;

export interface Call {
  readonly name: string;
  readonly input: unknown;
}

/** How a job goes: an end at once, or `running` until `endJob`. */
export type JobCourse = Omit<JobEnded, "jobName"> | "running";

export interface FakeChoices {
  /** Keys of the customers that the cycle trains, by shard. */
  readonly shards?: readonly (readonly string[])[];
  readonly job?: (customerKey: string, round: number) => JobCourse;
  readonly decision?: "approve" | "ask" | "keep-champion";
  readonly activities?: Partial<Activities>;
}

export interface Fakes {
  readonly activities: Activities;
  readonly calls: Call[];
  named(name: keyof Activities): unknown[];
  /** Names of the jobs that run now. */
  readonly running: ReadonlySet<string>;
  /** Names of all jobs that were ever created. */
  created(): string[];
  /** The most jobs that ever ran at a time. */
  mostRunning(): number;
  /** The watcher's part: the job ends, and its owner is told. */
  endJob(jobName: string, end?: Partial<JobEnded>): Promise<void>;
  /** Resolves when the activity has been called that often. */
  called(name: keyof Activities, times?: number): Promise<void>;
}

export const jobNameOf = (customerKey: string, round = 0): string => `job-${customerKey}-${round}`;
export const tuningJobNameOf = (customerKey: string, round = 0): string =>
  `tuning-${customerKey}-${round}`;

/** A cohort of two pages. */
const nextPage = (after: string): string | null => (after === "" ? "m" : null);

export function createFakes(client: Client, taskQueue: () => string, choices: FakeChoices): Fakes {
  const { shards = [], decision = "approve" } = choices;
  const course = choices.job ?? (() => ({ status: "Completed" }));
  const calls: Call[] = [];
  const owners = new Map<string, string>();
  const ends = new Map<string, JobEnded>();
  const running = new Set<string>();
  const states = new Map<string, "registered" | "championKept" | "failed">();
  let most = 0;
  const changed: (() => void)[] = [];

  const start = async (
    jobName: string,
    { fleet, cycle, customerKey, round }: StartTrainingJobInput,
    owner = workflowIds.retrainModel(fleet, customerKey, cycle),
  ): Promise<{ ended?: JobEnded }> => {
    const known = ends.get(jobName);
    if (known !== undefined) return { ended: known };
    if (running.has(jobName)) return {};
    owners.set(jobName, owner);
    running.add(jobName);
    most = Math.max(most, running.size);
    const how = course(customerKey, round);
    if (how !== "running") await end(jobName, how);
    return {};
  };
  const end = async (jobName: string, how: Partial<JobEnded>): Promise<void> => {
    const ended: JobEnded = { status: "Completed", ...how, jobName };
    ends.set(jobName, ended);
    running.delete(jobName);
    await signal(client, owners.get(jobName) ?? "", jobEnded, ended);
  };
  const tell = async (
    publications: readonly Publication[],
    outcome: (publication: Publication) => PublicationOutcome,
  ): Promise<void> => {
    for (const one of publications)
      await signal(client, one.releaseWorkflowId, published, outcome(one));
  };

  const activities: Activities = {
    ...fakePreparation(),
    openCycle: async () => ({ specHash: "0".repeat(64) }),
    exportDataset: async () => ({
      customers: shards.flat().length,
      rows: 100,
      invalidRows: 0,
      rowsWithoutCustomer: 0,
    }),
    setCycleState: async () => {},
    planCycle: async () => ({
      customers: shards.flat().length,
      train: shards.flat().length,
      skipped: 0,
      failed: 0,
      shards: shards.length,
    }),
    readShard: async ({ shard }) => ({ customerKeys: [...(shards[shard] ?? [])] }),
    closeCycle: async ({ fleet, cycle }): Promise<CycleReport> => {
      const count = (state: string) => [...states.values()].filter((one) => one === state).length;
      return {
        fleet,
        cycle,
        customers: shards.flat().length,
        registered: count("registered"),
        championKept: count("championKept"),
        skipped: 0,
        failed: count("failed"),
      };
    },
    startTrainingJob: async (input) => {
      const trainingJobName = jobNameOf(input.customerKey, input.round);
      return { trainingJobName, ...(await start(trainingJobName, input)) };
    },
    startShardedJob: async (input) => {
      const customerKey = COHORT_KEY;
      const trainingJobName = jobNameOf(customerKey, input.round);
      const owner = workflowIds.retrainCohort(input.fleet, input.cycle);
      return {
        trainingJobName,
        ...(await start(trainingJobName, { ...input, customerKey }, owner)),
      };
    },
    evaluateCohort: async () => ({
      evaluated: decision === "keep-champion" ? 0 : shards.flat().length,
      championKept: decision === "keep-champion" ? shards.flat().length : 0,
      failed: 0,
    }),
    recordCohortFailure: async () => {},
    startTuningJob: async (input) => {
      const tuningJobName = tuningJobNameOf(input.customerKey, input.round);
      const warmStart = "Starts from nothing: no earlier search to start from";
      return { tuningJobName, warmStart, ...(await start(tuningJobName, input)) };
    },
    findEndedTuningJob: async ({ tuningJobName }) => ends.get(tuningJobName) ?? null,
    stopTuningJob: async ({ customerKey }) => {
      for (const jobName of running)
        if (jobName.startsWith(`tuning-${customerKey}-`)) await end(jobName, { status: "Stopped" });
    },
    findEndedJob: async ({ trainingJobName }) => ends.get(trainingJobName) ?? null,
    stopTrainingJob: async ({ customerKey }) => {
      for (const jobName of running)
        if (jobName.startsWith(`job-${customerKey}-`)) await end(jobName, { status: "Stopped" });
    },
    evaluateModel: async ({ customerKey }) => {
      if (decision === "keep-champion") states.set(customerKey, "championKept");
      return { decision, because: "rmse 9 is 10 % below the champion's 10" };
    },
    registerModel: async ({ fleet, customerKey }) => {
      states.set(customerKey, "registered");
      return { version: 7, ...(decision === "approve" ? { approvedBy: `policy:${fleet}` } : {}) };
    },
    findApproval: async () => ({
      supersededBy: null,
      deadlines: [],
      onExpiry: "deny",
      webhook: null,
    }),
    recordDecision: async () => {},
    notifyWaiting: async () => {},
    notifyStageWaiting: async () => {},
    notifyDrift: async () => {},
    notifyOverBudget: async () => {},
    recordFailure: async ({ customerKey }) => {
      states.set(customerKey, "failed");
      return { customer: customerKey.toUpperCase() };
    },
    copyArtifacts: async () => ({ rejected: [], overwritten: [] }),
    ensureEndpoint: async ({ fleet, stage }) => ({ endpointName: `${fleet}-${stage}` }),
    verifyAndPoint: async ({ stage, publications }) => {
      await tell(publications, ({ customerKey, version }) => ({
        kind: "serving",
        stage,
        version,
        targetModel: targetModel(customerKey, version),
      }));
      return { refused: [] };
    },
    rejectPublications: async ({ stage, publications, because }) =>
      tell(publications, ({ version }) => ({ kind: "rejected", stage, version, because })),
    cancelPublications: async ({ stage, publications }) =>
      tell(publications, ({ version }) => ({
        kind: "rejected",
        stage,
        version,
        because: "withdrawn: denied by ann",
      })),
    recordPromotion: async () => ({ overtakenBy: null, reminders: null }),
    recordWithdrawal: async ({ stage }) => ({ stages: [stage] }),
    restoreArtifacts: async ({ customerKeys }) => ({
      restored: customerKeys.map((customerKey) => ({ customerKey, version: 1 })),
      reload: true,
    }),
    settleWithdrawals: async ({ stage, withdrawals }) => {
      for (const { customerKey, version, withdrawWorkflowId } of withdrawals) {
        const servesNow = { version: 1, targetModel: targetModel(customerKey, 1) };
        await signal(client, withdrawWorkflowId, withdrawn, { version, stage, servesNow });
      }
      return { open: [] };
    },
    tellDelay: async ({ withdrawals, because }) => {
      for (const { version, withdrawWorkflowId } of withdrawals)
        await signal(client, withdrawWorkflowId, withdrawalDelayed, { version, because });
    },
    removeWithdrawnArtifact: async () => {},
    requestWithdrawal: async ({ fleet, stage, withdrawal, pace }) => {
      await client.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
        workflowId: workflowIds.serveEndpoint(fleet, stage),
        taskQueue: taskQueue(),
        args: [{ fleet, stage, pace }],
        signal: withdraw,
        signalArgs: [withdrawal],
      });
    },
    requestPublication: async ({ fleet, stage, publication, pace }) => {
      await client.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
        workflowId: workflowIds.serveEndpoint(fleet, stage),
        taskQueue: taskQueue(),
        args: [{ fleet, stage, pace }],
        signal: publish,
        signalArgs: [publication],
      });
    },
    registerCohort: async ({ fleet }) => ({
      ...{ version: 3, members: 20, evaluation: "20 models." },
      ...(decision === "approve" ? { approvedBy: `policy:${fleet}` } : {}),
    }),
    findCohortApproval: async () => ({
      supersededBy: null,
      deadlines: [],
      onExpiry: "deny",
      webhook: null,
    }),
    recordCohortDecision: async () => ({ unknown: [] }),
    requestCohortPublication: async ({ fleet, stage, publication, pace }) => {
      await client.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
        workflowId: workflowIds.serveEndpoint(fleet, stage),
        taskQueue: taskQueue(),
        args: [{ fleet, stage, pace }],
        signal: publishCohort,
        signalArgs: [publication],
      });
    },
    requestCohortWithdrawal: async ({ fleet, stage, withdrawal, pace }) => {
      await client.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
        workflowId: workflowIds.serveEndpoint(fleet, stage),
        taskQueue: taskQueue(),
        args: [{ fleet, stage, pace }],
        signal: withdrawMembers,
        signalArgs: [withdrawal],
      });
    },
    copyCohortPage: async ({ after }) => ({ after: nextPage(after), stopped: false }),
    verifyCohort: async () => ({ kind: "sound" }),
    pointCohortPage: async ({ after }) => ({ after: nextPage(after), stopped: false }),
    answerCohort: async ({ stage, version, releaseWorkflowId, because }) =>
      signal(client, releaseWorkflowId, cohortPublished, {
        ...{ stage, version, because, leftOut: 0 },
        ...(because === null ? { serving: 20, rejected: 0 } : { serving: 0, rejected: 20 }),
      }),
    recordCohortPromotion: async () => ({ overtakenBy: null, reminders: null }),
    recordCohortWithdrawal: async ({ stage }) => ({ stages: [stage] }),
    settleCohortPage: async ({ after }) => ({ after: nextPage(after), open: 0 }),
    answerCohortWithdrawal: async ({ stage, version, withdrawWorkflowId, because }) =>
      signal(client, withdrawWorkflowId, membersWithdrawn, {
        ...{ stage, version, because, moved: 20, removed: 0, open: 0 },
      }),
    removeCohortArtifacts: async () => ({ after: null }),
    watchJobs: async () => ({ idle: true }),
    watchRegistry: async () => ({ idle: true }),
    writeHistoryFiles: async () => {},
    ...choices.activities,
  };

  return {
    activities: recorded(activities, (call) => {
      calls.push(call);
      for (const wake of changed.splice(0)) wake();
    }),
    calls,
    named: (name) => calls.filter((call) => call.name === name).map((call) => call.input),
    running,
    created: () => [...owners.keys()],
    mostRunning: () => most,
    endJob: (jobName, how = {}) => end(jobName, how),
    called: async (name, times = 1) => {
      while (calls.filter((call) => call.name === name).length < times)
        await new Promise<void>((resolve) => changed.push(resolve));
    },
  };
}

/** Every call, also one that will fail, is told before it is made. */
function recorded(activities: Activities, tell: (call: Call) => void): Activities {
  return new Proxy(activities, {
    get(target, name) {
      const activity: unknown = Reflect.get(target, name);
      if (typeof activity !== "function") return activity;
      return (input: unknown): unknown => {
        tell({ name: String(name), input });
        return Reflect.apply(activity, target, [input]);
      };
    },
  });
}

/** As the real activities do: a workflow that is gone needs no answer. */
async function signal<T>(
  client: Client,
  workflowId: string,
  definition: SignalDefinition<[T]>,
  value: T,
): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId).signal(definition, value);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
