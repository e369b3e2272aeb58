/** Registers what a sharded training job made for many customers as one model package version. */
import { Readable } from "node:stream";
import type { S3Client } from "@aws-sdk/client-s3";
import {
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { Upload } from "@aws-sdk/lib-storage";
import { log } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import type pg from "pg";
import { describeFigures } from "../fleet/cohort.js";
import { COHORT_KEY, modelPackageGroupName, s3Keys } from "../fleet/names.js";
import { workflowIds } from "../workflows/messages.js";
import { announceCohort } from "./announce-version.js";
import { cohortPackageRequest } from "./cohort-package.js";
import {
  findCohortOf,
  learnSizes,
  readContenderFigures,
  readContenders,
  recordCohort,
  type Cohort,
  type Contenders,
} from "./ledger/cohorts.js";
import { readCycle, type Cycle, type CycleRef } from "./ledger/cycles.js";
import { line, versionOf } from "./model-package-request.js";
import { withHeartbeat } from "./patience.js";
import { TAGS } from "./training-job-request.js";

export interface CohortRegistrationDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly s3: S3Client;
  readonly region: string;
  readonly bucket: string;
  readonly temporal: Client;
  /** Seconds between two looks at the registry. */
  readonly watchSeconds: number;
}

export interface RegisteredCohort {
  readonly version: number;
  readonly members: number;
  /** The members in figures, in a sentence or two. */
  readonly evaluation: string;
  /** `policy:<fleet>` when the gate approved every member. */
  readonly approvedBy?: string;
}

const FIGURES_PER_PAGE = 1000;

export const createCohortRegistrationActivities = (
  dependencies: CohortRegistrationDependencies,
) => ({
  /**
   * All evaluated customers of the cycle that have no version of it become one: the model package, a report with
   * the figures of each, and their rows in the ledger, which come all at once. Null when there are none and never
   * were. A repeated attempt finds the package by its token, or the cohort in the ledger. Heartbeats.
   */
  registerCohort: (ref: CycleRef): Promise<RegisteredCohort | null> =>
    withHeartbeat(() => register(dependencies, ref)),
});
export type CohortRegistrationActivities = ReturnType<typeof createCohortRegistrationActivities>;

async function register(
  dependencies: CohortRegistrationDependencies,
  ref: CycleRef,
): Promise<RegisteredCohort | null> {
  const { ledger } = dependencies;
  const { fleet, cycle } = ref;
  const opened = await readCycle(ledger, ref);
  await learnSizes(ledger, ["customers", "evaluations", "releases"]);
  const contenders = await readContenders(ledger, ref, opened.spec.gate.metric);
  if (contenders !== undefined) await create(dependencies, opened, contenders);
  const cohort = await findCohortOf(ledger, ref);
  if (cohort === undefined) return null;
  // An earlier attempt may have ended before it told anybody.
  await announceCohort(dependencies, cohort);
  log.info("cohort registered", { fleet, cycle, version: cohort.version, members: cohort.members });
  return registered(cohort);
}

const registered = ({ version, members, figures, decidedBy, state }: Cohort): RegisteredCohort => ({
  version,
  members,
  evaluation: describeFigures(members, figures),
  ...(state === "pending" || decidedBy === null ? {} : { approvedBy: decidedBy }),
});

async function create(
  dependencies: CohortRegistrationDependencies,
  cycle: Cycle,
  contenders: Contenders,
): Promise<void> {
  const { ledger, sagemaker, bucket } = dependencies;
  const { fleet } = cycle;
  await createGroup(sagemaker, fleet);
  const key = s3Keys.cohortEvaluation(fleet, cycle.cycle);
  await writeFigures(dependencies, cycle, key);
  const figuresUri = `s3://${bucket}/${key}`;
  const request = cohortPackageRequest({ ...dependencies, cycle, contenders, figuresUri });
  const { ModelPackageArn } = await sagemaker.send(new CreateModelPackageCommand(request));
  if (ModelPackageArn === undefined) throw new Error("CreateModelPackage returned no ARN");
  const version = versionOf(ModelPackageArn);
  await recordCohort(ledger, {
    ...{ fleet, cycle: cycle.cycle, version },
    modelPackageArn: ModelPackageArn,
    workflowId: workflowIds.releaseCohort(fleet, version),
    approvedBy: contenders.figures.asking === 0 ? `policy:${fleet}` : null,
    figures: contenders.figures,
  });
}

async function createGroup(sagemaker: SageMakerClient, fleet: string): Promise<void> {
  try {
    await sagemaker.send(
      new CreateModelPackageGroupCommand({
        ModelPackageGroupName: modelPackageGroupName(fleet, COHORT_KEY),
        ModelPackageGroupDescription: line(`Models of all customers of fleet ${fleet}`, 1024),
        Tags: [{ Key: TAGS.fleet, Value: fleet }],
      }),
    );
  } catch (error) {
    if (!(error instanceof Error && /already exists/i.test(error.message))) throw error;
  }
}

/** Streamed: the figures of a hundred thousand members do not belong in a worker's memory. */
async function writeFigures(
  { ledger, s3, bucket }: CohortRegistrationDependencies,
  ref: CycleRef,
  key: string,
): Promise<void> {
  const Body = Readable.from(figuresAsJson(ledger, ref), { objectMode: false });
  const params = { Bucket: bucket, Key: key, Body, ContentType: "application/json" };
  await new Upload({ client: s3, params }).done();
}

async function* figuresAsJson(ledger: pg.Pool, { fleet, cycle }: CycleRef): AsyncGenerator<string> {
  yield `{"fleet":${JSON.stringify(fleet)},"cycle":${JSON.stringify(cycle)},"members":{`;
  let separator = "\n";
  for (let after = ""; ;) {
    const limit = FIGURES_PER_PAGE;
    const page = await readContenderFigures(ledger, { fleet, cycle }, { after, limit });
    const lines = page.map((one) => `"${one.customerKey}":${JSON.stringify(one.figures)}`);
    if (lines.length > 0) yield separator + lines.join(",\n");
    separator = ",\n";
    const last = page.at(-1);
    if (last === undefined || page.length < limit) break;
    after = last.customerKey;
  }
  yield "}}\n";
}
