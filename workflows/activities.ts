/** Every activity the workflows call, with its timeouts: grouped by how it fails, and set on purpose. */
import { type ActivityOptions, proxyActivities } from "@temporalio/workflow";
import type { createApprovalActivities } from "../activities/approval.js";
import type { createArtifactActivities } from "../activities/artifacts.js";
import type { createCohortEvaluationActivities } from "../activities/cohort-evaluation.js";
import type { createCohortPublicationActivities } from "../activities/cohort-publication.js";
import type { createCohortRegistrationActivities } from "../activities/cohort-registration.js";
import type { createCohortReleaseActivities } from "../activities/cohort-release.js";
import type { createCohortWithdrawalActivities } from "../activities/cohort-withdrawal.js";
import type { createCycleJobActivities } from "../activities/cycle-job.js";
import type { createCycleActivities } from "../activities/cycles.js";
import type { createDatasetActivities } from "../activities/datasets.js";
import type { createCollectionActivities } from "../activities/collection.js";
import type { createDestructionActivities } from "../activities/destruction.js";
import type { createDriftActivities, createDriftRunActivities } from "../activities/drift.js";
import type { createEndpointActivities } from "../activities/endpoints.js";
import type { createEvaluationActivities } from "../activities/evaluation.js";
import type { createFailureActivities } from "../activities/failures.js";
import type { createHistoryFilesActivities } from "../activities/history-files.js";
import type { createJobWatcherActivities } from "../activities/job-watcher.js";
import type { createNotificationActivities } from "../activities/notifications.js";
import type { createPreprocessorActivities } from "../activities/preprocessor.js";
import type { createProcessingActivities } from "../activities/processing.js";
import type { createPromotionActivities } from "../activities/promotion.js";
import type { createPublicationActivities } from "../activities/publication.js";
import type { createRegistryWatchActivities } from "../activities/registry-watch.js";
import type { createRegistryActivities } from "../activities/registry.js";
import type { createShardedTrainingActivities } from "../activities/sharded-training.js";
import type { createTrainingActivities } from "../activities/training.js";
import type { createTransformActivities } from "../activities/transform.js";
import type { createTuningActivities } from "../activities/tuning.js";
import type { createWithdrawalActivities } from "../activities/withdrawals.js";
import { TASK_QUEUES } from "./messages.js";

type Cycles = ReturnType<typeof createCycleActivities>;
type DriftRuns = ReturnType<typeof createDriftRunActivities>;
type Sharded = ReturnType<typeof createShardedTrainingActivities>;
type Training = ReturnType<typeof createTrainingActivities>;
type Tuning = ReturnType<typeof createTuningActivities>;
type Processing = ReturnType<typeof createProcessingActivities>;
type Preprocessor = ReturnType<typeof createPreprocessorActivities>;
type Transform = ReturnType<typeof createTransformActivities>;
type Endpoints = ReturnType<typeof createEndpointActivities>;
type Registry = ReturnType<typeof createRegistryActivities>;
type Withdrawals = ReturnType<typeof createWithdrawalActivities>;
type CohortPublication = ReturnType<typeof createCohortPublicationActivities>;
type CohortRelease = ReturnType<typeof createCohortReleaseActivities>;
type CohortWithdrawal = ReturnType<typeof createCohortWithdrawalActivities>;

/** Retries go on until scheduleToCloseTimeout: an outage of an hour costs an hour, not a cycle. */
const patient: ActivityOptions["retry"] = {
  initialInterval: "1s",
  backoffCoefficient: 2,
  maximumInterval: "1 minute",
};

/**
 * Files for people, and the lineage: all cycles of up to 100,000 customers. Bounded, because a cycle does not fail for
 * want of them: the next one writes them whole.
 */
export const history = proxyActivities<ReturnType<typeof createHistoryFilesActivities>>({
  startToCloseTimeout: "30 minutes",
  scheduleToCloseTimeout: "90 minutes",
  heartbeatTimeout: "20s",
  retry: patient,
});

/**
 * Hours for a large warehouse, watched by its heartbeats. Attempts are bounded, not time: an unreachable
 * warehouse is told after about three minutes of back-off (2 + 4 + 8 + 16 + 5 × 30 s), while an export that
 * runs for hours still has attempts left when its worker dies.
 */
export const warehouse = proxyActivities<ReturnType<typeof createDatasetActivities>>({
  taskQueue: TASK_QUEUES.warehouse,
  startToCloseTimeout: "12 hours",
  heartbeatTimeout: "1 minute",
  retry: {
    initialInterval: "2s",
    backoffCoefficient: 2,
    maximumInterval: "30s",
    maximumAttempts: 10,
  },
});

/** As `warehouse`: it reads windows of it for hours, and asks models for minutes. */
export const comparison = proxyActivities<ReturnType<typeof createDriftActivities>>({
  taskQueue: TASK_QUEUES.warehouse,
  startToCloseTimeout: "12 hours",
  heartbeatTimeout: "1 minute",
  retry: {
    initialInterval: "2s",
    backoffCoefficient: 2,
    maximumInterval: "30s",
    maximumAttempts: 10,
  },
});

/**
 * A worker that dies says nothing: its activity is tried again when this time is over. So it is short, and still
 * twice as long as a call may wait for its turn in the budget (`LONGEST_CALL_WAIT`).
 */
const singleCall = "45s";

/** Reads and writes of the ledger. */
export const ledger = proxyActivities<Omit<Cycles, "planCycle"> & Omit<DriftRuns, "decideDrift">>({
  startToCloseTimeout: singleCall,
  scheduleToCloseTimeout: "6 hours",
  retry: patient,
});

/** Up to 100,000 customers at once. */
export const planning = proxyActivities<Pick<Cycles, "planCycle"> & Pick<DriftRuns, "decideDrift">>(
  {
    startToCloseTimeout: "10 minutes",
    scheduleToCloseTimeout: "6 hours",
    heartbeatTimeout: "20s",
    retry: patient,
  },
);

/**
 * Waits, attempt after attempt, for room in the account's quota and for its turn in the rate budget: behind
 * jobs of other fleets that may take days.
 */
export const admission = proxyActivities<
  Pick<Training, "startTrainingJob"> &
    Pick<Tuning, "startTuningJob"> &
    Pick<Processing, "startProcessingJob"> &
    Pick<Transform, "startTransformJob">
>({
  startToCloseTimeout: singleCall,
  scheduleToCloseTimeout: "7 days",
  retry: patient,
});

/** As `admission`, and writes first what the job reads of up to 100,000 customers. */
export const cohortAdmission = proxyActivities<
  Pick<Sharded, "startShardedJob"> & Pick<Preprocessor, "startPreprocessorJob">
>({
  startToCloseTimeout: "30 minutes",
  scheduleToCloseTimeout: "7 days",
  heartbeatTimeout: "20s",
  retry: patient,
});

/** Reads and judges up to 100,000 customers. */
export const cohort = proxyActivities<ReturnType<typeof createCohortEvaluationActivities>>({
  startToCloseTimeout: "2 hours",
  scheduleToCloseTimeout: "6 hours",
  heartbeatTimeout: "20s",
  retry: patient,
});

/** Reads, or lists for a job, the rows of up to 100,000 customers. */
export const preparing = proxyActivities<
  Pick<Processing, "readPrepared"> & Pick<Transform, "planTransforms" | "keepTransformed">
>({
  startToCloseTimeout: "12 hours",
  scheduleToCloseTimeout: "24 hours",
  heartbeatTimeout: "20s",
  retry: patient,
});

/** Single calls of AWS. */
export const controlPlane = proxyActivities<
  Pick<Training, "findEndedJob" | "stopTrainingJob"> &
    Pick<Tuning, "findEndedTuningJob" | "stopTuningJob"> &
    Pick<Processing, "findEndedProcessingJob"> &
    Pick<Preprocessor, "keepPreprocessor"> &
    Pick<Transform, "findEndedTransformJob"> &
    ReturnType<typeof createCycleJobActivities> &
    Pick<Withdrawals, "recordWithdrawal" | "removeWithdrawnArtifact"> &
    ReturnType<typeof createEvaluationActivities> &
    Pick<Registry, "registerModel">
>({
  startToCloseTimeout: singleCall,
  scheduleToCloseTimeout: "6 hours",
  retry: patient,
});

/** Copies within S3, by the batch: a worker that dies in the middle is noticed by its missing heartbeats. */
export const artifacts = proxyActivities<
  ReturnType<typeof createArtifactActivities> & Pick<Withdrawals, "restoreArtifacts">
>({
  startToCloseTimeout: "10 minutes",
  scheduleToCloseTimeout: "6 hours",
  heartbeatTimeout: "20s",
  retry: patient,
});

/**
 * AWS needs 3 to 10 minutes for an endpoint, and up to an hour to fail one; a batch of customers with endpoints of
 * their own makes a hundred, 25 at a time. A few attempts: behind this one stand customers who want to know, and the
 * previous version serves on meanwhile.
 */
export const refresh = proxyActivities<Pick<Endpoints, "ensureEndpoint">>({
  startToCloseTimeout: "5 hours",
  scheduleToCloseTimeout: "12 hours",
  heartbeatTimeout: "1 minute",
  retry: {
    initialInterval: "5s",
    backoffCoefficient: 3,
    maximumInterval: "2 minutes",
    maximumAttempts: 5,
  },
});

/**
 * A hundred cold models, each of which may take its minute to load. An hour in all: behind this batch others wait,
 * and what could not be verified is rejected with the reason and may be asked for again.
 */
export const verification = proxyActivities<Pick<Endpoints, "verifyAndPoint">>({
  startToCloseTimeout: "30 minutes",
  scheduleToCloseTimeout: "1 hour",
  heartbeatTimeout: "1 minute",
  retry: patient,
});

/**
 * A denied model is to be gone within a minute: a worker that dies is noticed early. What has not come to an end in
 * an hour is tried again with the next batch, which looks after the endpoint first.
 */
export const wayBack = proxyActivities<Pick<Withdrawals, "settleWithdrawals">>({
  startToCloseTimeout: "15 minutes",
  scheduleToCloseTimeout: "1 hour",
  heartbeatTimeout: "20s",
  retry: { initialInterval: "1s", backoffCoefficient: 2, maximumInterval: "20s" },
});

/**
 * Carries a result to the workflow or the row that waits for it, and a decision to the registry. Retried for ever:
 * giving up would leave a release waiting for an answer that nobody sends any more, or lose what a person decided.
 */
export const messenger = proxyActivities<
  Pick<Endpoints, "rejectPublications"> &
    Pick<Registry, "recordDecision"> &
    Pick<Withdrawals, "cancelPublications" | "tellDelay"> &
    ReturnType<typeof createApprovalActivities> &
    Omit<CohortRelease, "recordCohortDecision"> &
    ReturnType<typeof createPublicationActivities> &
    ReturnType<typeof createPromotionActivities> &
    ReturnType<typeof createFailureActivities> &
    Pick<Sharded, "recordCohortFailure">
>({ startToCloseTimeout: singleCall, retry: patient });

/**
 * A page of a cohort, or its registration: seconds, but for a page of which every model is asked cold. What has not
 * come to an end in six hours is told to whoever waits for the cohort.
 */
export const cohorts = proxyActivities<
  ReturnType<typeof createCohortRegistrationActivities> &
    Omit<CohortPublication, "answerCohort"> &
    Omit<CohortWithdrawal, "answerCohortWithdrawal">
>({
  startToCloseTimeout: "1 hour",
  scheduleToCloseTimeout: "6 hours",
  heartbeatTimeout: "20s",
  retry: patient,
});

/** As `messenger`, for errands about thousands of rows. */
export const cohortMessenger = proxyActivities<
  Pick<CohortPublication, "answerCohort"> &
    Pick<CohortWithdrawal, "answerCohortWithdrawal"> &
    Pick<CohortRelease, "recordCohortDecision">
>({ startToCloseTimeout: "10 minutes", heartbeatTimeout: "20s", retry: patient });

/** Waits for endpoints to go and cycles to end; each attempt looks for what is left. A person waits, or comes back. */
export const destruction = proxyActivities<ReturnType<typeof createDestructionActivities>>({
  startToCloseTimeout: "3 hours",
  scheduleToCloseTimeout: "1 day",
  heartbeatTimeout: "20s",
  retry: patient,
});

/** Goes through everything that old cycles have left; each attempt looks for itself what is there. */
export const collection = proxyActivities<ReturnType<typeof createCollectionActivities>>({
  startToCloseTimeout: "12 hours",
  scheduleToCloseTimeout: "2 days",
  heartbeatTimeout: "20s",
  retry: patient,
});

/** People wait for nothing here: after a quarter of an hour the release's page says that nobody was told. */
export const notifications = proxyActivities<ReturnType<typeof createNotificationActivities>>({
  startToCloseTimeout: "30s",
  scheduleToCloseTimeout: "15 minutes",
  retry: patient,
});

/** One long attempt that heartbeats; when its worker dies, another takes over within half a minute. */
export const watcher = proxyActivities<
  ReturnType<typeof createJobWatcherActivities> & ReturnType<typeof createRegistryWatchActivities>
>({
  startToCloseTimeout: "3 hours",
  heartbeatTimeout: "30s",
  retry: { initialInterval: "1s", backoffCoefficient: 2, maximumInterval: "30s" },
});
