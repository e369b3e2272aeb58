/** Starts the one training job of a cohort. It is watched, looked up and stopped like any other training job. */
import { CreateTrainingJobCommand, type CreateTrainingJobRequest } from "@aws-sdk/client-sagemaker";
import type { S3Client } from "@aws-sdk/client-s3";
import { FAILURES } from "../fleet/errors.js";
import { COHORT_KEY } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { workflowIds } from "../workflows/messages.js";
import { permanent, withoutSecrets } from "./application-failure.js";
import { summariseCohort, writeCohortInputs, type CohortSummary } from "./cohort-inputs.js";
import { readCycle, type Cycle, type CycleRef } from "./ledger/cycles.js";
import { recordCohortFailure, recordCohortTraining } from "./ledger/cohort.js";
import type { NewJob } from "./ledger/jobs.js";
import { recordFailedJob, type PackedWork } from "./ledger/packed-searches.js";
import { withHeartbeat } from "./patience.js";
import {
  cohortOf,
  shardedJobRequest,
  type ShardedJobPlan,
  type ShardedTraining,
} from "./sharded-job-request.js";
import { startJob } from "./start-job.js";
import { hashOf } from "./training-job-request.js";
import { trainingJobs, type StartedTrainingJob, type TrainingDependencies } from "./training.js";
import { assertShared } from "./tuning-room.js";
import { LIMITS } from "../fleet/limits.js";

export interface ShardedTrainingDependencies extends TrainingDependencies {
  readonly s3: S3Client;
}

export interface StartShardedJobInput extends CycleRef {
  /** The workflow's counter of jobs for this cohort, from 0: a new round is a new job over the same checkpoints. */
  readonly round: number;
}

export interface RecordCohortFailureInput extends CycleRef {
  /** Stable type, see docs/reference/errors.md. */
  readonly errorType: string;
  readonly reason: string;
}

export const createShardedTrainingActivities = (dependencies: ShardedTrainingDependencies) => ({
  /**
   * Writes what the job reads of its cohort, and creates the job, or adopts the one that an earlier attempt created.
   * Throws as startTrainingJob does, and SpecInvalid for more instances than customers. Heartbeats. The owner
   * `retrain-cohort/…` is signalled `jobEnded` by the watcher.
   */
  startShardedJob: (input: StartShardedJobInput): Promise<StartedTrainingJob> =>
    withHeartbeat(async () => {
      const { job, writeInputs } = await planJob(dependencies, input);
      const kind = trainingJobs(dependencies);
      const create = async (request: CreateTrainingJobRequest) => {
        // Only once there is room: an attempt that finds none is repeated every minute.
        await writeInputs();
        return dependencies.sagemaker.send(new CreateTrainingJobCommand(request));
      };
      const { jobName, ...rest } = await startJob(dependencies, { ...kind, create }, job);
      await recordCohortTraining(dependencies.ledger, input);
      return { trainingJobName: jobName, ...rest };
    }),

  /** The job failed as a whole, or was stopped: so has everybody whose model it was to make. */
  async recordCohortFailure(input: RecordCohortFailureInput): Promise<void> {
    const reason = withoutSecrets(input.reason).slice(0, LIMITS.reasonLength);
    await recordCohortFailure(dependencies.ledger, { ...input, reason });
    await recordFailedJob(dependencies.ledger, { ...input, reason });
  },
});
export type ShardedTrainingActivities = ReturnType<typeof createShardedTrainingActivities>;

interface PlannedJob {
  readonly job: NewJob<CreateTrainingJobRequest> & { readonly spec: FleetSpec };
  readonly writeInputs: () => Promise<void>;
}

async function planJob(
  dependencies: ShardedTrainingDependencies,
  input: StartShardedJobInput,
): Promise<PlannedJob> {
  const { ledger, account, region } = dependencies;
  const { fleet, cycle: id, round } = input;
  const cycle = await readCycle(ledger, input);
  const training = shardedTraining(cycle);
  const summary = await summariseCohort(ledger, input, cycle.spec.tuning);
  assertShared(summary.customers, training.instances);
  const plan = jobPlan(dependencies, { cycle, training, summary, round });
  const request = shardedJobRequest(plan);
  const work = packedWork(plan, cycle, dependencies);
  return {
    job: {
      spec: cycle.spec,
      kind: "training",
      slots: training.instances,
      account,
      region,
      fleet,
      cycle: id,
      customerKey: COHORT_KEY,
      round,
      jobName: request.TrainingJobName,
      requestHash: hashOf(request) ?? "",
      request,
      workflowId: workflowIds.retrainCohort(fleet, id),
    },
    writeInputs: () =>
      writeCohortInputs(dependencies, work, { ...cycle, tuning: cycle.spec.tuning }),
  };
}

function jobPlan(
  { region, bucket, roleArn }: ShardedTrainingDependencies,
  o: {
    readonly cycle: Cycle;
    readonly training: ShardedTraining;
    readonly summary: CohortSummary;
    readonly round: number;
  },
): ShardedJobPlan {
  return {
    spec: o.cycle.spec,
    training: o.training,
    cycle: o.cycle.cycle,
    round: o.round,
    ...{ region, bucket, roleArn },
    prepared: o.cycle.prepared,
    cohortHash: o.summary.hash,
    hasChampions: o.summary.hasChampions,
  };
}

const packedWork = (
  plan: ShardedJobPlan,
  { testing }: Cycle,
  { account, region }: ShardedTrainingDependencies,
): Omit<PackedWork, "tuning"> => {
  const { HyperParameters, AlgorithmSpecification } = shardedJobRequest(plan);
  return {
    ...cohortOf(plan),
    ...{ testing, account, region },
    codeHash: plan.training.sourceHash,
    image: AlgorithmSpecification?.TrainingImage ?? "",
    hyperparameters: HyperParameters ?? {},
  };
};

function shardedTraining({ fleet, cycle, spec: { training } }: Cycle): ShardedTraining {
  if (training.kind === "sharded") return training;
  throw permanent(FAILURES.specInvalid, {
    message: `the spec of cycle ${cycle} of fleet "${fleet}" trains by ${training.kind}(…), not by sharded(…)`,
    hint: "run the cycle again: it was opened with another fleet file than it was started with",
  });
}
