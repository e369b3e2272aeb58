/** Cold and warm searches of real datasets, as tuning jobs of the local SageMaker server. */
import {
  CreateHyperParameterTuningJobCommand,
  DescribeHyperParameterTuningJobCommand,
  paginateListTrainingJobsForHyperParameterTuningJob,
  SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { setTimeout as delay } from "node:timers/promises";
import type { WarmStart } from "../../fleet/warm-start.js";
import { AS_EXPORTED } from "../../activities/training-job-request.js";
import { tuningJobRequest, type TuningJobPlan } from "../../activities/tuning-job-request.js";
import type { Trials } from "./curves.js";
import type { TunedSpec } from "./datasets.js";

/** Where searches run, the same for all of them. */
export type SearchPlan = Pick<TuningJobPlan, "account" | "region" | "bucket" | "roleArn"> & {
  readonly spec: TunedSpec;
};

export interface SearchPlace extends SearchPlan {
  readonly cycle: string;
  readonly customerKey: string;
  readonly dataHash: string | null;
  readonly seed: number;
}

export interface Search {
  readonly tuningJobName: string;
  readonly trials: Trials;
}

const POLL_MS = 300;
const COLD: WarmStart = {
  parents: [],
  type: null,
  because: "starts from nothing",
  reasons: [],
};

/** Starts one search, waits for its end, and reads what each of its training jobs came to. */
export async function search(
  sagemaker: SageMakerClient,
  place: SearchPlace,
  parent: string | undefined,
): Promise<Search> {
  const tuning = { ...place.spec.tuning, seed: place.seed };
  const plan: TuningJobPlan = {
    ...place,
    tuning,
    maxJobs: tuning.maxJobs,
    round: 0,
    championUri: null,
    places: AS_EXPORTED,
  };
  const warm: WarmStart =
    parent === undefined ? COLD : { ...COLD, parents: [parent], type: "TransferLearning" };
  const request = tuningJobRequest(plan, warm);
  const HyperParameterTuningJobName = request.HyperParameterTuningJobName;
  await sagemaker.send(new CreateHyperParameterTuningJobCommand(request));
  for (;;) {
    const job = await sagemaker.send(
      new DescribeHyperParameterTuningJobCommand({ HyperParameterTuningJobName }),
    );
    if (job.HyperParameterTuningJobStatus === "Completed") break;
    if (job.HyperParameterTuningJobStatus !== "InProgress")
      throw new Error(
        `tuning job ${HyperParameterTuningJobName} is ${job.HyperParameterTuningJobStatus}: ${job.FailureReason}`,
      );
    await delay(POLL_MS);
  }
  return {
    tuningJobName: HyperParameterTuningJobName,
    trials: await trialsOf(sagemaker, HyperParameterTuningJobName),
  };
}

async function trialsOf(
  client: SageMakerClient,
  HyperParameterTuningJobName: string,
): Promise<Trials> {
  const trials: (number | null)[] = [];
  const pages = paginateListTrainingJobsForHyperParameterTuningJob(
    { client, pageSize: 100 },
    { HyperParameterTuningJobName, SortBy: "CreationTime", SortOrder: "Ascending" },
  );
  for await (const { TrainingJobSummaries = [] } of pages)
    trials.push(
      ...TrainingJobSummaries.map(
        (job) => job.FinalHyperParameterTuningJobObjectiveMetric?.Value ?? null,
      ),
    );
  return trials;
}
