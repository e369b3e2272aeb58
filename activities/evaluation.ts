/** Reads a training job's metrics and lets the gate decide what becomes of the challenger. */
import { HeadObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import type { DescribeTrainingJobResponse, SageMakerClient } from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { comparisonRequest } from "../fleet/comparison.js";
import { FAILURES } from "../fleet/errors.js";
import { classifyFailure, failureSentence, failureTypes } from "../fleet/failure.js";
import { decideGate, type GateDecision, improvementOver } from "../fleet/gate.js";
import type { GatePolicy } from "../fleet/gate.schema.js";
import { readEvaluation, type Evaluation } from "../fleet/metrics.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { missingPredictions } from "../fleet/verification.js";
import { permanent, retryable } from "./application-failure.js";
import { describeJob } from "./describe-job.js";
import { recordTrainingCost } from "./job-cost.js";
import { unknownCycle, type CycleRef } from "./ledger/cycles.js";
import { type Improvement, recordEvaluation } from "./ledger/evaluations.js";
import { recordEnded } from "./ledger/jobs.js";
import { readSpec } from "./ledger/specs.js";
import { isMissingObject, parseS3Uri } from "./s3-uri.js";

export interface EvaluationDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly s3: S3Client;
}

export interface EvaluateModelInput extends CycleRef {
  readonly customerKey: string;
  readonly trainingJobName: string;
}

/** Without the single reasons: the ledger has them, and every workflow history would carry them. */
export type EvaluatedModel = Pick<GateDecision, "decision" | "because">;

/** Ways to save a model that are known to work; a fleet's thousand jobs share one script. */
const SAVING_SCRIPTS = 100;

export const createEvaluationActivities = ({ ledger, sagemaker, s3 }: EvaluationDependencies) => {
  const savingScripts = new Set<string>();

  /**
   * A script that forgets to save its model completes all the same, and DescribeTrainingJob names an artifact
   * that is not there. One look for each version of the code finds that out; a job that fails to save only now
   * and then is found when its artifact is copied.
   */
  const assertArtifact = async (artifactUri: string, spec: FleetSpec): Promise<void> => {
    const { sourceHash } = spec.training;
    if (savingScripts.has(sourceHash)) return;
    const { bucket, key } = parseS3Uri(artifactUri);
    try {
      await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    } catch (error) {
      throw isMissingObject(error) ? noArtifact(artifactUri) : error;
    }
    if (savingScripts.size >= SAVING_SCRIPTS) savingScripts.clear();
    savingScripts.add(sourceHash);
  };

  return {
    /** Throws what the job failed with, if it did, and MetricsError's type when a figure is missing. */
    async evaluateModel(input: EvaluateModelInput): Promise<EvaluatedModel> {
      const { fleet, trainingJobName } = input;
      const contender = await readContender(ledger, input);
      const { specHash, championVersion, testing } = contender;
      const spec = await readSpec(ledger, { fleet, specHash });
      const job = completed(await describeJob(sagemaker, trainingJobName), trainingJobName);
      const evaluation = readEvaluation(job.FinalMetricDataList ?? [], spec.tuning?.objective);
      assertComplete(evaluation, contender);
      const artifactUri = job.ModelArtifacts?.S3ModelArtifacts;
      if (artifactUri === undefined) throw noArtifact(trainingJobName);
      await assertArtifact(artifactUri, spec);

      const decided = decideGate(evaluation, spec.gate);
      const billableSeconds = job.BillableTimeInSeconds;
      await recordEnded(ledger, { jobName: trainingJobName, status: "Completed", billableSeconds });
      await recordTrainingCost(ledger, trainingJobName, job);
      await recordEvaluation(ledger, {
        ...input,
        ...decided,
        evaluation,
        improvement: improvementOf(evaluation, spec.gate),
        segments: spec.gate.segments.map(({ column }, index) => ({
          column,
          drop: evaluation.segmentDrops[index] ?? null,
        })),
        championVersion,
        artifactUri,
        testing,
      });
      return { decision: decided.decision, because: decided.because };
    },
  };
};
export type EvaluationActivities = ReturnType<typeof createEvaluationActivities>;

/** What an evaluation must have figures for. */
export interface Asked {
  /** Null: nobody to be scored beside it. */
  readonly championVersion: number | null;
  /** Held-out rows of which the served model will be asked for the same predictions. */
  readonly verificationRows: number;
}

interface Circumstances extends Asked {
  readonly specHash: string;
  /** The cycle only tries the whole path, with as few jobs as it can. */
  readonly testing: boolean;
}

async function readContender(
  ledger: pg.Pool,
  { fleet, cycle, customerKey }: EvaluateModelInput,
): Promise<Circumstances> {
  const { rows } = await ledger.query<Circumstances>(
    `select y.spec_hash as "specHash", y.testing, c.champion_version as "championVersion",
            jsonb_array_length(coalesce(c.verification, '[]')) as "verificationRows"
       from customers c join cycles y using (fleet, cycle)
      where c.fleet = $1 and c.cycle = $2 and c.customer_key = $3`,
    [fleet, cycle, customerKey],
  );
  const [row] = rows;
  if (row === undefined) throw unknownCycle({ fleet, cycle });
  return row;
}

/** Throws what the job failed with; while it runs, a failure that is retried. */
export function completed(
  job: DescribeTrainingJobResponse | null,
  name: string,
): DescribeTrainingJobResponse {
  if (job?.TrainingJobStatus === "Completed") return job;
  if (job?.TrainingJobStatus === "Failed")
    throw permanent(failureTypes[classifyFailure(job.FailureReason)], {
      message: failureSentence(job.FailureReason),
      hint: `read the log of training job ${name}`,
    });
  if (job?.TrainingJobStatus === "Stopped")
    throw permanent(FAILURES.trainingStopped, {
      message: `training job ${name} was stopped: ${job.SecondaryStatus ?? "no reason given"}`,
      hint: "raise training.maxRuntimeSeconds if it ran out of time; else run the cycle again",
    });
  throw retryable(FAILURES.trainingInternalError, {
    message: `training job ${name} is ${job?.TrainingJobStatus ?? "not to be found"}, not Completed`,
    hint: "the activity looks again",
  });
}

/**
 * Without these figures a script that ignores its champion would always win, and a model that is as good as any other
 * would be refused by its endpoint. Throws TrainingAlgorithmError.
 */
export function assertComplete(
  evaluation: Evaluation,
  { championVersion, verificationRows }: Asked,
): void {
  if (championVersion !== null && evaluation.champion === null)
    throw permanent(FAILURES.trainingAlgorithmError, {
      message: `the training script did not score the champion (version ${championVersion}): champion:rmse is missing`,
      hint: "score the model in SM_CHANNEL_CHAMPION on the test rows too, and print champion:rmse, :mae, :stdev_error",
    });
  const missing = missingPredictions(verificationRows, evaluation.predictions.length);
  if (missing !== null)
    throw permanent(FAILURES.trainingAlgorithmError, {
      message: `the training script printed ${missing}, so the served model could not be verified`,
      hint: 'print the predictions of the first three rows of the test channel (of all of them, if they are fewer) as "verification:1=<number>;" and so on',
    });
}

/** As the ledger keeps it; null without champion. */
export function improvementOf(evaluation: Evaluation, gate: GatePolicy): Improvement | null {
  const estimate = improvementOver(evaluation, gate.metric);
  if (estimate === null) return null;
  const { metric, confidence } = comparisonRequest(gate);
  const { low, high } = evaluation.improvement ?? { low: null, high: null };
  return {
    metric,
    confidence,
    estimate: Number.isFinite(estimate) ? estimate : null,
    low,
    high,
  };
}

const noArtifact = (uri: string) =>
  permanent(FAILURES.trainingAlgorithmError, {
    message: `the training job completed without a model: ${uri} does not exist`,
    hint: "save the model to SM_MODEL_DIR in the training script",
  });
