/** Fits the preprocessor that all customers of a pipeline share, unless there is one for its code, spec and columns. */
import type { S3Client } from "@aws-sdk/client-s3";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { CYCLE_KEY, s3Keys } from "../fleet/names.js";
import { permanent } from "./application-failure.js";
import { describeJob } from "./describe-job.js";
import { writeInputList } from "./input-list.js";
import { recordTrainingCost } from "./job-cost.js";
import { readCycle, type Cycle, type CycleRef } from "./ledger/cycles.js";
import { exportedHash } from "./ledger/exported.js";
import {
  findPreprocessor,
  plannedRows,
  readModelColumns,
  recordPreprocessor,
} from "./ledger/preprocessors.js";
import { fitRequest, preprocessorHash, type PipelineTraining } from "./preprocessor-request.js";
import type { StartCycleJobInput } from "./processing.js";
import { startJob, type StartedJob } from "./start-job.js";
import { hashOf } from "./training-job-request.js";
import { trainingJobs, type TrainingDependencies, type TrainingJobRef } from "./training.js";
import { withHeartbeat } from "./patience.js";

export interface PreprocessorDependencies extends TrainingDependencies {
  readonly s3: S3Client;
}

/** `there`: it was fitted before, for this cycle or an earlier one. */
export type PreprocessorFit =
  | { readonly kind: "there"; readonly generation: number }
  | ({ readonly kind: "fits" } & StartedJob);

export const createPreprocessorActivities = (dependencies: PreprocessorDependencies) => ({
  /**
   * Creates the training job that fits it, or adopts the one that an earlier attempt created. Throws as
   * startTrainingJob does, and PreparationFailed when drift has called for the cycle: it fits none. The cycle's workflow is signalled `jobEnded` by the watcher. Heartbeats.
   */
  startPreprocessorJob: (input: StartCycleJobInput): Promise<PreprocessorFit> =>
    withHeartbeat(async () => {
      const { ledger, account, region, bucket, roleArn } = dependencies;
      const cycle = await readCycle(ledger, input);
      const { fleet } = cycle;
      const { preprocessor } = pipelineOf(cycle);
      const hash = await hashOfPreprocessor(ledger, cycle);
      const found = await findPreprocessor(ledger, { fleet, hash });
      if (found !== undefined) return { kind: "there", generation: found.generation };
      if (cycle.cause === "drift") throw ofAll(cycle);
      const request = fitRequest({
        spec: cycle.spec,
        preprocessor,
        cycle: cycle.cycle,
        round: input.round,
        ...{ region, bucket, roleArn },
        rowsUri: await trainRows(dependencies, cycle),
        schema: s3Keys.schema(fleet, cycle.cycle, cycle.prepared),
        dataHash: await exportedHash(ledger, input),
      });
      const started = await startJob(dependencies, trainingJobs(dependencies), {
        kind: "training",
        slots: 1,
        account,
        region,
        fleet,
        cycle: cycle.cycle,
        customerKey: CYCLE_KEY,
        round: input.round,
        jobName: request.TrainingJobName,
        requestHash: hashOf(request) ?? "",
        request,
        workflowId: cycle.workflowId,
        spec: cycle.spec,
      });
      return { kind: "fits", ...started };
    }),

  /** The job has completed: what it fitted is the fleet's next generation. */
  async keepPreprocessor({
    trainingJobName,
    ...ref
  }: CycleRef & TrainingJobRef): Promise<{ generation: number }> {
    const { ledger, sagemaker } = dependencies;
    const cycle = await readCycle(ledger, ref);
    const job = await describeJob(sagemaker, trainingJobName);
    const artifactUri = job?.ModelArtifacts?.S3ModelArtifacts;
    if (artifactUri === undefined) throw noArtifact(trainingJobName);
    await recordTrainingCost(ledger, trainingJobName, job);
    const generation = await recordPreprocessor(ledger, {
      ...ref,
      hash: await hashOfPreprocessor(ledger, cycle),
      specHash: cycle.specHash,
      trainingJobName,
      artifactUri,
    });
    return { generation };
  },
});
export type PreprocessorActivities = ReturnType<typeof createPreprocessorActivities>;

const hashOfPreprocessor = async (ledger: pg.Pool, cycle: Cycle): Promise<string> =>
  preprocessorHash(pipelineOf(cycle).preprocessor, await readModelColumns(ledger, cycle));

export function pipelineOf({ fleet, cycle, spec: { training } }: Cycle): PipelineTraining {
  if (training.kind === "pipeline") return training;
  throw permanent(FAILURES.specInvalid, {
    message: `the spec of cycle ${cycle} of fleet "${fleet}" trains by ${training.kind}(…), not by pipeline(…)`,
    hint: "run the cycle again: it was opened with another fleet file than it was started with",
  });
}

/** S3 key of the folder above the customers'. */
export const rowsFolder = ({ fleet, cycle, prepared }: Cycle): string =>
  s3Keys.data(prepared ?? s3Keys.cycle(fleet, cycle));

async function trainRows(
  { ledger, s3, bucket }: PreprocessorDependencies,
  cycle: Cycle,
): Promise<string> {
  const planned = await plannedRows(ledger, cycle);
  return writeInputList({ s3, bucket }, cycle, {
    folder: rowsFolder(cycle),
    paths: planned.map(({ customerKey }) => `${customerKey}/train/data.csv`),
  });
}

/** A cycle of the few that have drifted would fit it on their rows, and everybody's next model would stand behind it. */
const ofAll = ({ fleet }: Cycle) =>
  permanent(FAILURES.preparationFailed, {
    message: `the preprocessor of fleet "${fleet}" has changed since the last cycle of all customers, and drift retrains only some`,
    hint: "run a cycle of all customers first (modelfleet run FLEETFILE): it fits the preprocessor on the rows of all",
  });

const noArtifact = (name: string) =>
  permanent(FAILURES.preparationFailed, {
    message: `the preprocessor's training job ${name} completed without a model`,
    hint: "save the fitted preprocessor to SM_MODEL_DIR in training.preprocessor.entryPoint",
  });
