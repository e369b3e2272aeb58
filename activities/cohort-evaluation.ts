/** Reads what a sharded job tells of its customers, and lets the gate decide about each. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { DescribeTrainingJobResponse, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import { ApplicationFailure } from "@temporalio/common";
import type pg from "pg";
import { readCustomerLine } from "../fleet/customer-result.schema.js";
import { FAILURES } from "../fleet/errors.js";
import { decideGate } from "../fleet/gate.js";
import { cohortArtifact } from "../fleet/names.js";
import type { Evaluation } from "../fleet/metrics.js";
import { withoutSecrets } from "./application-failure.js";
import { artifactsOf, resultLines, type ResultLine } from "./cohort-results.js";
import { describeJob } from "./describe-job.js";
import { assertComplete, completed, improvementOf, type Asked } from "./evaluation.js";
import { recordTrainingCost } from "./job-cost.js";
import { recordFitSeconds, type FitSeconds } from "./ledger/cost-shares.js";
import { readCycle, type Cycle, type CycleRef } from "./ledger/cycles.js";
import {
  cohortPages,
  countCohort,
  recordCohortFailures,
  type CohortFailure,
  type CohortTotals,
} from "./ledger/cohort.js";
import { recordEvaluations } from "./ledger/cohort-evaluations.js";
import type { NewEvaluation } from "./ledger/evaluations.js";
import { recordEnded } from "./ledger/jobs.js";
import {
  recordFailedSearches,
  recordPackedResults,
  type PackedResult,
} from "./ledger/packed-searches.js";
import { withHeartbeat } from "./patience.js";

export interface CohortEvaluationDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly s3: S3Client;
}

export interface EvaluateCohortInput extends CycleRef {
  readonly trainingJobName: string;
}

const PAGE = 1000;

export const createCohortEvaluationActivities = (dependencies: CohortEvaluationDependencies) => ({
  /**
   * By page: a row for every model that was made, and the script's own reason for every one that was not. A customer
   * whose line is missing, unreadable or there twice has failed; one that is not of the cohort is passed over. Heartbeats
   * with the customers done. Throws what the job failed with, if it did.
   */
  async evaluateCohort(input: EvaluateCohortInput): Promise<CohortTotals> {
    let done = 0;
    const evaluate = async () => {
      const cohort = await openCohort(dependencies, input);
      const judge = new Judge(cohort);
      const lines = resultLines(dependencies.s3, cohort.job, cohort.members.size);
      for await (const line of lines) {
        judge.take(line);
        if (judge.pending < PAGE) continue;
        await record(dependencies.ledger, cohort, judge.page());
        done = judge.done;
      }
      judge.end();
      await record(dependencies.ledger, cohort, judge.page());
      const { BillableTimeInSeconds: billableSeconds } = cohort.job;
      const jobName = input.trainingJobName;
      await recordEnded(dependencies.ledger, { jobName, status: "Completed", billableSeconds });
      await recordTrainingCost(dependencies.ledger, jobName, cohort.job);
      return countCohort(dependencies.ledger, input);
    };
    return withHeartbeat(evaluate, () => ({ customers: done }));
  },
});
export type CohortEvaluationActivities = ReturnType<typeof createCohortEvaluationActivities>;

interface Cohort {
  readonly cycle: Cycle;
  readonly job: DescribeTrainingJobResponse;
  readonly trainingJobName: string;
  /** The checkpoint folder. */
  readonly folder: string;
  /** By customer. */
  readonly members: ReadonlyMap<string, Asked>;
  readonly artifacts: ReadonlySet<string>;
}

async function openCohort(
  { ledger, sagemaker, s3 }: CohortEvaluationDependencies,
  { trainingJobName, ...ref }: EvaluateCohortInput,
): Promise<Cohort> {
  const cycle = await readCycle(ledger, ref);
  const job = completed(await describeJob(sagemaker, trainingJobName), trainingJobName);
  const members = new Map<string, Asked>();
  for await (const page of cohortPages(ledger, ref))
    for (const { customerKey, championVersion, verificationRows } of page)
      members.set(customerKey, { championVersion, verificationRows });
  const folder = job.CheckpointConfig?.S3Uri ?? "";
  const artifacts = await artifactsOf(s3, folder, members);
  return { cycle, job, trainingJobName, folder, members, artifacts };
}

interface JudgedPage {
  readonly evaluations: readonly NewEvaluation[];
  readonly failures: readonly CohortFailure[];
  readonly searches: readonly PackedResult[];
  readonly seconds: readonly FitSeconds[];
}

async function record(ledger: pg.Pool, cohort: Cohort, page: JudgedPage): Promise<void> {
  const { cycle, folder } = cohort;
  await recordEvaluations(ledger, cycle, page.evaluations);
  await recordCohortFailures(ledger, cycle, page.failures);
  // The folder is named after the work: so are its searches.
  const work = { ...cycle, workHash: folder.split("/").at(-2) ?? "" };
  await recordPackedResults(ledger, work, page.searches);
  await recordFailedSearches(ledger, work, page.failures);
  await recordFitSeconds(ledger, cycle, page.seconds);
}

/** Takes lines as they come, and gives out by the page what they come to. */
class Judge {
  done = 0;
  private readonly cohort: Cohort;
  private readonly told = new Set<string>();
  private strangers = 0;
  private unreadable = 0;
  private evaluations: NewEvaluation[] = [];
  private failures: CohortFailure[] = [];
  private searches: PackedResult[] = [];
  private seconds: FitSeconds[] = [];

  constructor(cohort: Cohort) {
    this.cohort = cohort;
  }

  get pending(): number {
    return this.evaluations.length + this.failures.length;
  }

  take(line: ResultLine): void {
    const result =
      line === null ? null : readCustomerLine(line, this.cohort.cycle.spec.tuning?.objective);
    const customerKey = result?.customerKey ?? null;
    if (result === null || customerKey === null) {
      this.unreadable++;
      return;
    }
    if (!this.cohort.members.has(customerKey)) {
      this.strangers++;
      return;
    }
    if (this.told.has(customerKey)) {
      // In one statement the customer must not stand twice.
      this.evaluations = this.evaluations.filter((one) => one.customerKey !== customerKey);
      this.failures = this.failures.filter((one) => one.customerKey !== customerKey);
      this.searches = this.searches.filter((one) => one.customerKey !== customerKey);
      this.fail(customerKey, "the job tells of it twice: which of its models is meant?");
      return;
    }
    this.told.add(customerKey);
    this.done++;
    if (result.kind !== "unreadable" && result.seconds !== null)
      this.seconds.push({ customerKey, seconds: result.seconds });
    if (result.kind === "fitted") this.judge(customerKey, result.evaluation);
    else this.fail(customerKey, result.reason);
    if (result.kind === "fitted" && result.trials.length > 0)
      this.searches.push({ customerKey, trials: result.trials });
  }

  /** No line will follow. */
  end(): void {
    for (const customerKey of this.cohort.members.keys())
      if (!this.told.has(customerKey))
        this.fail(customerKey, "the job completed without a word about it");
    const { strangers, unreadable } = this;
    if (strangers > 0 || unreadable > 0)
      log.warn("lines of a sharded job passed over", { strangers, unreadable });
  }

  page(): JudgedPage {
    const { evaluations, failures, searches, seconds } = this;
    [this.evaluations, this.failures, this.searches, this.seconds] = [[], [], [], []];
    return { evaluations, failures, searches, seconds };
  }

  private judge(customerKey: string, evaluation: Evaluation): void {
    const { cycle, trainingJobName, folder, members, artifacts } = this.cohort;
    const { spec, testing } = cycle;
    const asked = members.get(customerKey) ?? { championVersion: null, verificationRows: 0 };
    const { championVersion } = asked;
    try {
      assertComplete(evaluation, asked);
    } catch (error) {
      if (!(error instanceof ApplicationFailure)) throw error;
      this.fail(customerKey, error.message);
      return;
    }
    const artifact = cohortArtifact(customerKey);
    if (!artifacts.has(customerKey)) {
      this.fail(customerKey, `the job tells of its model, but ${folder}${artifact} does not exist`);
      return;
    }
    this.evaluations.push({
      fleet: cycle.fleet,
      cycle: cycle.cycle,
      customerKey,
      trainingJobName,
      ...decideGate(evaluation, spec.gate),
      evaluation,
      improvement: improvementOf(evaluation, spec.gate),
      segments: spec.gate.segments.map(({ column }, index) => ({
        column,
        drop: evaluation.segmentDrops[index] ?? null,
      })),
      championVersion,
      artifactUri: folder + artifact,
      testing,
    });
  }

  private fail(customerKey: string, reason: string): void {
    const errorType = FAILURES.trainingAlgorithmError;
    this.failures.push({ customerKey, errorType, reason: withoutSecrets(reason) });
  }
}
