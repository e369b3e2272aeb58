/** Gives every activity its clients, sorted by the task queue that serves it. */
import { createApprovalActivities } from "../activities/approval.js";
import { createArtifactActivities } from "../activities/artifacts.js";
import { createCohortEvaluationActivities } from "../activities/cohort-evaluation.js";
import { createCohortPublicationActivities } from "../activities/cohort-publication.js";
import { createCohortRegistrationActivities } from "../activities/cohort-registration.js";
import { createCohortReleaseActivities } from "../activities/cohort-release.js";
import { createCohortWithdrawalActivities } from "../activities/cohort-withdrawal.js";
import { createCollectionActivities } from "../activities/collection.js";
import { createCycleJobActivities } from "../activities/cycle-job.js";
import { createCycleActivities } from "../activities/cycles.js";
import { createDatasetActivities } from "../activities/datasets.js";
import { createDestructionActivities } from "../activities/destruction.js";
import { createDriftActivities, createDriftRunActivities } from "../activities/drift.js";
import { createEndpointActivities } from "../activities/endpoints.js";
import { createEvaluationActivities } from "../activities/evaluation.js";
import { createFailureActivities } from "../activities/failures.js";
import { createHistoryFilesActivities } from "../activities/history-files.js";
import { createJobWatcherActivities } from "../activities/job-watcher.js";
import { createNotificationActivities } from "../activities/notifications.js";
import { createPreprocessorActivities } from "../activities/preprocessor.js";
import { createProcessingActivities } from "../activities/processing.js";
import { createPromotionActivities } from "../activities/promotion.js";
import { createPublicationActivities } from "../activities/publication.js";
import { createRegistryActivities } from "../activities/registry.js";
import { createRegistryWatchActivities } from "../activities/registry-watch.js";
import { createShardedTrainingActivities } from "../activities/sharded-training.js";
import { createTrainingActivities } from "../activities/training.js";
import { createTransformActivities } from "../activities/transform.js";
import { createTuningActivities } from "../activities/tuning.js";
import { createWithdrawalActivities } from "../activities/withdrawals.js";
import type { WorkerClients } from "./clients.js";
import type { WorkerSettings } from "./settings.js";

type Activities = Readonly<Record<string, (input: never) => Promise<unknown>>>;

export function createActivities(
  settings: WorkerSettings,
  clients: WorkerClients,
): { control: Activities; warehouse: Activities } {
  const dependencies = {
    ...{ ...settings, ...clients },
    pollSeconds: settings.watchSeconds,
  };
  return {
    control: merge(
      createCycleActivities(dependencies),
      createDriftRunActivities(dependencies),
      createTrainingActivities(dependencies),
      createTuningActivities(dependencies),
      createShardedTrainingActivities(dependencies),
      createCohortEvaluationActivities(dependencies),
      createProcessingActivities(dependencies),
      createPreprocessorActivities(dependencies),
      createTransformActivities(dependencies),
      createCycleJobActivities(dependencies),
      createJobWatcherActivities(dependencies),
      createEvaluationActivities(dependencies),
      createRegistryActivities(dependencies),
      createApprovalActivities(dependencies),
      createNotificationActivities(dependencies),
      createRegistryWatchActivities(dependencies),
      createArtifactActivities(dependencies),
      createEndpointActivities(dependencies),
      createPublicationActivities(dependencies),
      createPromotionActivities(dependencies),
      createWithdrawalActivities(dependencies),
      createCohortRegistrationActivities(dependencies),
      createCohortReleaseActivities(dependencies),
      createCohortPublicationActivities(dependencies),
      createCohortWithdrawalActivities(dependencies),
      createFailureActivities(dependencies),
      createDestructionActivities(dependencies),
      createCollectionActivities(dependencies),
      createHistoryFilesActivities(dependencies),
    ),
    warehouse: merge(createDatasetActivities(dependencies), createDriftActivities(dependencies)),
  };
}

/** Names are global on a task queue: a second activity of one name would silently hide the first. */
function merge(...groups: readonly Activities[]): Activities {
  const merged: Record<string, Activities[string]> = {};
  for (const [name, activity] of groups.flatMap((group) => Object.entries(group))) {
    if (name in merged) throw new Error(`two activities are called ${name}`);
    merged[name] = activity;
  }
  return merged;
}
