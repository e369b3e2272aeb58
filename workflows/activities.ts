/** Every activity the workflows call, with its timeouts: grouped by how it fails, and set on purpose. */
import { type ActivityOptions, proxyActivities } from "@temporalio/workflow";
import type { createApprovalActivities } from "../activities/approval.js";
import type { createArtifactActivities } from "../activities/artifacts.js";
import type { createCycleActivities } from "../activities/cycles.js";
import type { createDatasetActivities } from "../activities/datasets.js";
import type { createEndpointActivities } from "../activities/endpoints.js";
import type { createEvaluationActivities } from "../activities/evaluation.js";
import type { createFailureActivities } from "../activities/failures.js";
import type { createHistoryFilesActivities } from "../activities/history-files.js";
import type { createJobWatcherActivities } from "../activities/job-watcher.js";
import type { createNotificationActivities } from "../activities/notifications.js";
import type { createPublicationActivities } from "../activities/publication.js";
import type { createRegistryWatchActivities } from "../activities/registry-watch.js";
import type { createRegistryActivities } from "../activities/registry.js";
import type { createTrainingActivities } from "../activities/training.js";
import type { createTuningActivities } from "../activities/tuning.js";
import type { createWithdrawalActivities } from "../activities/withdrawals.js";
import { TASK_QUEUES } from "./messages.js";

type Cycles = ReturnType<typeof createCycleActivities>;
type Training = ReturnType<typeof createTrainingActivities>;
type Tuning = ReturnType<typeof createTuningActivities>;
type Endpoints = ReturnType<typeof createEndpointActivities>;
type Registry = ReturnType<typeof createRegistryActivities>;
type Withdrawals = ReturnType<typeof createWithdrawalActivities>;

/** Retries go on until scheduleToCloseTimeout: an outage of an hour costs an hour, not a cycle. */
const patient: ActivityOptions["retry"] = {
  initialInterval: "1s",
  backoffCoefficient: 2,
  maximumInterval: "1 minute",
};

/** Files for people. Bounded, because a cycle does not fail for want of them: the next one writes them whole. */
export const history = proxyActivities<ReturnType<typeof createHistoryFilesActivities>>({
  startToCloseTimeout: "10 minutes",
  scheduleToCloseTimeout: "30 minutes",
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

/**
 * A worker that dies says nothing: its activity is tried again when this time is over. So it is short, and still
 * twice as long as a call may wait for its turn in the budget (`LONGEST_CALL_WAIT`).
 */
const singleCall = "45s";

/** Reads and writes of the ledger. */
export const ledger = proxyActivities<Omit<Cycles, "planCycle">>({
  startToCloseTimeout: singleCall,
  scheduleToCloseTimeout: "6 hours",
  retry: patient,
});

/** Up to 100,000 customers at once. */
export const planning = proxyActivities<Pick<Cycles, "planCycle">>({
  startToCloseTimeout: "10 minutes",
  scheduleToCloseTimeout: "6 hours",
  heartbeatTimeout: "20s",
  retry: patient,
});

/**
 * Waits, attempt after attempt, for room in the account's quota and for its turn in the rate budget: behind
 * jobs of other fleets that may take days.
 */
export const admission = proxyActivities<
  Pick<Training, "startTrainingJob"> & Pick<Tuning, "startTuningJob">
>({
  startToCloseTimeout: singleCall,
  scheduleToCloseTimeout: "7 days",
  retry: patient,
});

/** Single calls of AWS. */
export const controlPlane = proxyActivities<
  Pick<Training, "findEndedJob" | "stopTrainingJob"> &
    Pick<Tuning, "findEndedTuningJob" | "stopTuningJob"> &
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
 * AWS needs 3 to 10 minutes for an endpoint, and up to an hour to fail one. A few attempts: behind this one
 * stand customers who want to know, and the previous version serves on meanwhile.
 */
export const refresh = proxyActivities<Pick<Endpoints, "ensureEndpoint">>({
  startToCloseTimeout: "90 minutes",
  scheduleToCloseTimeout: "6 hours",
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
    ReturnType<typeof createPublicationActivities> &
    ReturnType<typeof createFailureActivities>
>({ startToCloseTimeout: singleCall, retry: patient });

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
