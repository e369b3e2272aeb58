/** Prepares the rows of a pipeline's customers by batch transform: the preprocessor's container reads and answers them. */
import {
  CreateModelCommand,
  CreateTransformJobCommand,
  type CreateTransformJobRequest,
  type DescribeTransformJobResponse,
} from "@aws-sdk/client-sagemaker";
import type { S3Client } from "@aws-sdk/client-s3";
import { FAILURES } from "../fleet/errors.js";
import { CHANNELS, CYCLE_KEY, requestHash, s3Keys, type Channel } from "../fleet/names.js";
import type { JobEnded } from "../workflows/messages.js";
import { messageOf, permanent } from "./application-failure.js";
import { endOfCycleJob } from "./cycle-job.js";
import { describeTransformJob } from "./describe-cycle-job.js";
import { writeInputList } from "./input-list.js";
import { readCycle, type Cycle, type CycleRef } from "./ledger/cycles.js";
import {
  plannedRows,
  readPreprocessor,
  recordTransformed,
  type PlannedRows,
} from "./ledger/preprocessors.js";
import { readSpec } from "./ledger/specs.js";
import { objectPages } from "./object-pages.js";
import { withHeartbeat } from "./patience.js";
import { pipelineOf, rowsFolder } from "./preprocessor.js";
import { preprocessorModel, transformRequest, type TransformPlan } from "./preprocessor-request.js";
import type { StartCycleJobInput } from "./processing.js";
import { startJob, type KindOfJob, type StartedJob } from "./start-job.js";
import { hashOf } from "./training-job-request.js";
import type { TrainingDependencies } from "./training.js";

export interface TransformDependencies extends TrainingDependencies {
  readonly s3: S3Client;
}

export interface PlanTransformsInput extends CycleRef {
  readonly generation: number;
}

/** Rows that one transform job prepares. */
export interface TransformPart {
  /** What they are, such as `train`. */
  readonly part: string;
  /** Of the preprocessor that prepares them. */
  readonly generation: number;
  /** Manifest of the objects. */
  readonly rowsUri: string;
  readonly objects: number;
  /** S3 key of the folder that the outputs are written to. */
  readonly folder: string;
}

export interface PlannedTransforms {
  readonly generation: number;
  /** S3 key of the folder that holds those of all parts. */
  readonly folder: string;
  readonly parts: readonly TransformPart[];
}

export type StartTransformJobInput = StartCycleJobInput & Omit<TransformPart, "objects">;

export const createTransformActivities = (dependencies: TransformDependencies) => ({
  /**
   * The rows of every channel by the preprocessor of `generation`; and those that champions are scored on by the one
   * that each of them was made with, where that is another. Heartbeats.
   */
  planTransforms: (input: PlanTransformsInput): Promise<PlannedTransforms> =>
    withHeartbeat(() => planParts(dependencies, input)),

  /** Creates the job and what it runs, or adopts the one that an earlier attempt created, as startTrainingJob does. */
  async startTransformJob(input: StartTransformJobInput): Promise<StartedJob> {
    const { ledger, account, region } = dependencies;
    const cycle = await readCycle(ledger, input);
    const plan = await transformPlan(dependencies, cycle, input);
    await ensureModel(dependencies, plan);
    const request = transformRequest(plan);
    return startJob(dependencies, transformJobs(dependencies), {
      kind: "transform",
      slots: 1,
      account,
      region,
      fleet: cycle.fleet,
      cycle: cycle.cycle,
      customerKey: CYCLE_KEY,
      round: input.round,
      jobName: request.TransformJobName,
      requestHash: hashOf(request) ?? "",
      request,
      workflowId: cycle.workflowId,
      spec: cycle.spec,
    });
  },

  /** One Describe: how the job ended, with the reason if it failed; null while it runs. */
  async findEndedTransformJob({ jobName }: { jobName: string }): Promise<JobEnded | null> {
    const seen = await describeTransformJob(dependencies.sagemaker, jobName);
    return transformJobs(dependencies).endOf(jobName, seen);
  },

  /** All jobs have completed: looks whether every output is where the training jobs will look. Heartbeats. */
  keepTransformed: (input: CycleRef & PlannedTransforms): Promise<void> =>
    withHeartbeat(async () => {
      for (const part of input.parts) await requireOutputs(dependencies, part);
      await recordTransformed(dependencies.ledger, input, input);
    }),
});
export type TransformActivities = ReturnType<typeof createTransformActivities>;

async function planParts(
  { ledger, s3, bucket }: TransformDependencies,
  input: PlanTransformsInput,
): Promise<PlannedTransforms> {
  const { fleet, cycle: id, generation } = input;
  const cycle = await readCycle(ledger, input);
  const rows = await plannedRows(ledger, input);
  const folder = s3Keys.transformed(fleet, id, requestHash({ generation, rows }));
  const part = async (
    name: string,
    o: { channel: Channel; by: number; of: readonly PlannedRows[]; to: string },
  ): Promise<TransformPart> => ({
    part: name,
    generation: o.by,
    rowsUri: await writeInputList({ s3, bucket }, cycle, {
      folder: rowsFolder(cycle),
      paths: o.of.map(({ customerKey }) => `${customerKey}/${o.channel}/data.csv`),
    }),
    objects: o.of.length,
    folder: o.to,
  });
  const parts: TransformPart[] = [];
  for (const channel of CHANNELS)
    parts.push(await part(channel, { channel, by: generation, of: rows, to: s3Keys.data(folder) }));
  for (const older of olderGenerations(rows, generation)) {
    const of = rows.filter(({ championGeneration }) => championGeneration === older);
    const to = s3Keys.championRows(folder, older);
    parts.push(await part("champions", { channel: "test", by: older, of, to }));
  }
  return { generation, folder, parts };
}

function olderGenerations(rows: readonly PlannedRows[], generation: number): number[] {
  const found = new Set<number>();
  for (const { championGeneration } of rows)
    if (championGeneration !== null && championGeneration !== generation)
      found.add(championGeneration);
  return [...found].sort((a, b) => a - b);
}

/** A generation is what it was fitted as, although the fleet file may have changed since. */
async function transformPlan(
  { ledger, region, bucket, roleArn }: TransformDependencies,
  cycle: Cycle,
  input: StartTransformJobInput,
): Promise<TransformPlan> {
  const { fleet, generation, round, part, rowsUri, folder } = input;
  const { specHash, artifactUri } = await readPreprocessor(ledger, { fleet, generation });
  const fitted = pipelineOf({ ...cycle, spec: await readSpec(ledger, { fleet, specHash }) });
  return {
    ...{ fleet, cycle: cycle.cycle, round, generation, part, rowsUri, folder, artifactUri },
    ...{ region, bucket, roleArn },
    preprocessor: fitted.preprocessor,
    transform: pipelineOf(cycle).preprocessor.transform,
  };
}

/** Models never change: one of that name is the one that is meant. */
async function ensureModel(
  { sagemaker }: TransformDependencies,
  plan: TransformPlan,
): Promise<void> {
  try {
    await sagemaker.send(new CreateModelCommand(preprocessorModel(plan)));
  } catch (error) {
    if (!/already existing model/i.test(messageOf(error))) throw error;
  }
}

const transformJobs = ({
  ledger,
  sagemaker,
}: TransformDependencies): KindOfJob<CreateTransformJobRequest, DescribeTransformJobResponse> => ({
  called: "transform job",
  create: (request) => sagemaker.send(new CreateTransformJobCommand(request)),
  describe: (jobName) => describeTransformJob(sagemaker, jobName),
  arnOf: (job) => job.TransformJobArn,
  statusOf: (job) => job.TransformJobStatus,
  endOf: (jobName, job) =>
    endOfCycleJob(
      ledger,
      jobName,
      job && {
        status: job.TransformJobStatus,
        failureReason: job.FailureReason,
        begun: job.TransformStartTime,
        ended: job.TransformEndTime,
      },
    ),
});

/** SageMaker's pages disagree on what an output's key keeps of its input's. */
async function requireOutputs(
  { s3, bucket }: TransformDependencies,
  { folder, part, objects }: TransformPart,
): Promise<void> {
  let found = 0;
  const channel = part === "champions" ? "test" : part;
  const wanted = new RegExp(`^[^/]+/${channel}/data\\.csv\\.out$`);
  for await (const page of objectPages(s3, bucket, folder))
    for (const { key } of page) if (wanted.test(key.slice(folder.length))) found++;
  if (found >= objects) return;
  throw permanent(FAILURES.preparationFailed, {
    message:
      `the batch transform of the ${part} rows completed, but of ${objects} outputs ` +
      `${found} are at s3://${bucket}/${folder}<customer key>/${channel}/data.csv.out`,
    hint: "look where the transform job has put its outputs, and report it",
  });
}
