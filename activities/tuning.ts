/** Starts, looks up and stops a customer's tuning job: a search of hyperparameters in place of one training job. */
import {
  CreateHyperParameterTuningJobCommand,
  StopHyperParameterTuningJobCommand,
  type DescribeHyperParameterTuningJobResponse,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import {
  asTransferLearning,
  describeWarmStart,
  findWarmStartParents,
  fromNothing,
  type WarmStart,
} from "../fleet/warm-start.js";
import { workflowIds, type JobEnded } from "../workflows/messages.js";
import { messageOf, permanent } from "./application-failure.js";
import { isNotFound } from "./describe-job.js";
import { describeTuningJob } from "./describe-tuning-job.js";
import { unknownCycle, type CycleRef } from "./ledger/cycles.js";
import { dismissJob, openJobs, type NewJob } from "./ledger/jobs.js";
import { readSpec } from "./ledger/specs.js";
import {
  readCandidates,
  readWarmStart,
  recordWarmStart,
  replaceWarmStart,
} from "./ledger/tuning-jobs.js";
import { startJob, type KindOfJob } from "./start-job.js";
import { PLACES } from "./ledger/data-places.js";
import { hashOf, type DataPlaces } from "./training-job-request.js";
import type { TrainingDependencies } from "./training.js";
import {
  parallelJobs,
  tuningJobRequest,
  wantedSearch,
  workHash,
  type TuningJobPlan,
  type TuningJobRequest,
} from "./tuning-job-request.js";
import { endOfTuningJob, lookAtTuningJob, readTrials } from "./tuning-results.js";
import { assertRoom } from "./tuning-room.js";

export interface StartTuningJobInput extends CycleRef {
  readonly customerKey: string;
  /** The workflow's counter of jobs for this model, from 0: a new round is a new job. */
  readonly round: number;
}

export interface TuningJobRef {
  readonly tuningJobName: string;
}

export interface StartedTuningJob extends TuningJobRef {
  /** From where the search starts, with a reason for each candidate; Markdown. */
  readonly warmStart: string;
  /** The adopted job's end, when it had ended already: its signal may be long gone. */
  readonly ended?: JobEnded;
}

/** All tuning jobs of one customer in one cycle. */
export interface StopTuningJobInput extends CycleRef {
  readonly customerKey: string;
}

export const createTuningActivities = (dependencies: TrainingDependencies) => ({
  /**
   * Chooses the search's parents, records the choice, and creates the job, or adopts the one that an earlier attempt
   * created. Throws as startTrainingJob does. What SageMaker refuses of a warm start never fails the customer: the
   * search then starts with less, at last from nothing, and the record says why.
   */
  async startTuningJob(input: StartTuningJobInput): Promise<StartedTuningJob> {
    const planned = await planSearch(dependencies, input);
    assertRoom(parallelJobs(planned.plan), dependencies.maxTrainingJobs);
    const key = { ...input, workHash: workHash(planned.plan) };
    const search: Search = { ...planned, key };
    const forgotten = new Set<string>();
    let warmStart =
      (await readWarmStart(dependencies.ledger, key)) ??
      (await record(dependencies.ledger, search));
    for (;;) {
      const job = newJob(input, search.plan, warmStart);
      try {
        const { spec } = search.plan;
        const kind = tuningJobs(dependencies);
        const { jobName, ...rest } = await startJob(dependencies, kind, { ...job, spec });
        return { tuningJobName: jobName, warmStart: describeWarmStart(warmStart), ...rest };
      } catch (error) {
        if (!(error instanceof WarmStartRefused)) throw error;
        await dismissJob(dependencies.ledger, job.jobName);
        log.warn("warm start refused", { tuningJobName: job.jobName, because: error.message });
        warmStart = await chooseLess(dependencies, { search, warmStart, error, forgotten });
      }
    }
  },

  /** How the search ended, with its best training job, or the reason why there is none; null while it runs. */
  async findEndedTuningJob({ tuningJobName }: TuningJobRef): Promise<JobEnded | null> {
    const ended = await lookAtTuningJob(dependencies, tuningJobName);
    if (ended !== null) await readTrials(dependencies, tuningJobName);
    return ended;
  },

  /** As stopTrainingJob: by customer, not by name, and an ended job is no error. Its training jobs stop with it. */
  async stopTuningJob(input: StopTuningJobInput): Promise<void> {
    const { ledger, sagemaker } = dependencies;
    for (const { jobName } of await openJobs(ledger, "tuning", input)) {
      try {
        await sagemaker.send(
          new StopHyperParameterTuningJobCommand({ HyperParameterTuningJobName: jobName }),
        );
      } catch (error) {
        if (isNotFound(error)) await dismissJob(ledger, jobName);
        else if (!(error instanceof Error && error.name === "ValidationException")) throw error;
      }
    }
  },
});
export type TuningActivities = ReturnType<typeof createTuningActivities>;

interface PlannedSearch {
  readonly plan: TuningJobPlan;
  readonly testing: boolean;
  readonly sizeBecause: string | null;
}

interface Search extends PlannedSearch {
  readonly key: StartTuningJobInput & { readonly workHash: string };
}

interface PlanRow {
  spec_hash: string;
  testing: boolean;
  data_hash: string | null;
  search: { maxJobs: number; because: string | null } | null;
  champion_uri: string | null;
  places: DataPlaces;
}

async function planSearch(
  { ledger, account, region, bucket, roleArn }: TrainingDependencies,
  input: StartTuningJobInput,
): Promise<PlannedSearch> {
  const { fleet, cycle, customerKey, round } = input;
  const { rows } = await ledger.query<PlanRow>(
    `select y.spec_hash, y.testing, c.data_hash, c.search, r.artifact_uri as champion_uri,
            ${PLACES}
       from customers c
       join cycles y using (fleet, cycle)
       left join releases r
              on r.fleet = c.fleet and r.customer_key = c.customer_key and r.version = c.champion_version
      where c.fleet = $1 and c.cycle = $2 and c.customer_key = $3`,
    [fleet, cycle, customerKey],
  );
  const [row] = rows;
  if (row === undefined) throw unknownCycle(input);
  const spec = await readSpec(ledger, { fleet, specHash: row.spec_hash });
  const { tuning } = spec;
  if (tuning === undefined) throw noTuning(input);
  const plan = {
    ...{ spec, tuning, cycle, customerKey, round, account, region, bucket, roleArn },
    dataHash: row.data_hash,
    championUri: row.champion_uri,
    places: row.places,
    maxJobs: row.search?.maxJobs ?? tuning.maxJobs,
  };
  return { plan, testing: row.testing, sizeBecause: row.search?.because ?? null };
}

const noTuning = ({ fleet, cycle }: CycleRef) =>
  permanent(FAILURES.specInvalid, {
    message: `the spec of cycle ${cycle} of fleet "${fleet}" has no tuning`,
    hint: "run the cycle again: it was opened with another fleet file than it was started with",
  });

/** `forgotten` are the tuning jobs that SageMaker was found not to know. */
async function choose(
  ledger: pg.Pool,
  search: Search,
  forgotten: ReadonlySet<string> = new Set(),
): Promise<WarmStart> {
  const wanted = wantedSearch(search.plan);
  const candidates = await readCandidates(ledger, wanted, search.key);
  return findWarmStartParents(
    candidates.map((candidate) =>
      forgotten.has(candidate.tuningJobName) ? { ...candidate, forgotten: true } : candidate,
    ),
    wanted,
  );
}

const nameOf = (search: Search, warmStart: WarmStart): string =>
  tuningJobRequest(search.plan, warmStart).HyperParameterTuningJobName;

async function record(ledger: pg.Pool, search: Search): Promise<WarmStart> {
  const { plan, testing, sizeBecause, key } = search;
  const warmStart = await choose(ledger, search);
  return recordWarmStart(ledger, {
    ...key,
    tuningJobName: nameOf(search, warmStart),
    testing,
    sizeBecause,
    warmStart,
    wanted: wantedSearch(plan),
    parallel: parallelJobs(plan),
  });
}

interface Refusal {
  readonly search: Search;
  readonly warmStart: WarmStart;
  readonly error: WarmStartRefused;
  /** Parents that SageMaker does not know. Every refusal adds to it or is answered by less: the search starts at last. */
  readonly forgotten: Set<string>;
}

async function chooseLess(
  { ledger, sagemaker }: TrainingDependencies,
  refusal: Refusal,
): Promise<WarmStart> {
  const { search, warmStart, forgotten } = refusal;
  const unknown = await unknownOf(sagemaker, warmStart.parents);
  for (const name of unknown) forgotten.add(name);
  const less = unknown.length > 0 ? await choose(ledger, search, forgotten) : lesserThan(refusal);
  await replaceWarmStart(ledger, {
    ...search.key,
    tuningJobName: nameOf(search, less),
    warmStart: less,
  });
  return less;
}

/** Identical, transfer learning, nothing. */
function lesserThan({ warmStart, error }: Refusal): WarmStart {
  const note = `SageMaker refuses it: ${error.message}`;
  return warmStart.type === "IdenticalDataAndAlgorithm"
    ? asTransferLearning(warmStart, `as identical, ${note}`)
    : fromNothing(warmStart, note);
}

async function unknownOf(sagemaker: SageMakerClient, names: readonly string[]): Promise<string[]> {
  const unknown: string[] = [];
  for (const name of names)
    if ((await describeTuningJob(sagemaker, name)) === null) unknown.push(name);
  return unknown;
}

function newJob(
  { fleet, cycle, customerKey, round }: StartTuningJobInput,
  plan: TuningJobPlan,
  warmStart: WarmStart,
): NewJob<TuningJobRequest> {
  const request = tuningJobRequest(plan, warmStart);
  return {
    kind: "tuning",
    slots: parallelJobs(plan),
    trainingJobs: plan.maxJobs,
    account: plan.account,
    region: plan.region,
    fleet,
    cycle,
    customerKey,
    round,
    jobName: request.HyperParameterTuningJobName,
    requestHash: hashOf(request) ?? "",
    request,
    workflowId: workflowIds.retrainModel(fleet, customerKey, cycle),
  };
}

const tuningJobs = (
  dependencies: TrainingDependencies,
): KindOfJob<TuningJobRequest, DescribeHyperParameterTuningJobResponse> => ({
  called: "tuning job",
  create: (request) => create(dependencies.sagemaker, request),
  describe: (jobName) => describeTuningJob(dependencies.sagemaker, jobName),
  arnOf: (job) => job.HyperParameterTuningJobArn,
  statusOf: (job) => job.HyperParameterTuningJobStatus,
  endOf: async (jobName, job) => {
    const ended = await endOfTuningJob(dependencies, jobName, job);
    if (ended !== null) await readTrials(dependencies, jobName);
    return ended;
  },
});

/** SageMaker would create the search, if only it started from elsewhere. */
class WarmStartRefused extends Error {}

async function create(sagemaker: SageMakerClient, request: TuningJobRequest): Promise<void> {
  try {
    await sagemaker.send(new CreateHyperParameterTuningJobCommand(request));
  } catch (error) {
    if (request.WarmStartConfig !== undefined && isAboutWarmStart(error))
      throw new WarmStartRefused(messageOf(error), { cause: error });
    throw error;
  }
}

/** By the words of the known refusals: "… not the same across current and parent tuning jobs", for example. */
function isAboutWarmStart(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name !== "ValidationException" && error.name !== "ResourceNotFound") return false;
  return /warm ?start|parent|can't find a tuning job|allowed to change|tunable/i.test(
    error.message,
  );
}
