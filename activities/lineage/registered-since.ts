/** Takes over from the model registry the versions that were registered after the lineage was written. */
import { GetObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import {
  DescribeModelPackageCommand,
  ListModelPackagesCommand,
  type DescribeModelPackageCommandOutput,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { z } from "zod";
import { LIMITS } from "../../fleet/limits.js";
import { COHORT_KEY, customerKey, modelPackageGroupName, s3Keys } from "../../fleet/names.js";
import { readEvaluation } from "../../fleet/metrics.js";
import { workflowIds } from "../../workflows/messages.js";
import { describeJob } from "../describe-job.js";
import { inParallel } from "../in-parallel.js";
import { isMissingObject, parseS3Uri } from "../s3-uri.js";
import { rebuildCycle } from "./cycle-since.js";
import { metadataSchema, type PackageMetadata } from "./package-metadata.js";
import { sinceTime, type SinceFindings } from "./since.js";

export interface RegisteredDependencies {
  readonly sagemaker: SageMakerClient;
  readonly s3: S3Client;
  readonly bucket: string;
}

/** As model-quality.ts writes it. */
const figures = z
  .record(z.string(), z.object({ value: z.number() }))
  .transform((named) =>
    Object.fromEntries(Object.entries(named).map(([name, { value }]) => [name, value])),
  );
const qualitySchema = z.object({
  regression_metrics: figures,
  champion_regression_metrics: figures.nullable(),
  baseline_regression_metrics: figures,
  improvement: z.unknown(),
  segments: z.array(z.unknown()),
  objective: z.object({ metric: z.string(), value: z.number() }).nullable(),
  reasons: z.array(z.string()),
});

/** Everything that a version's rows are made of. */
interface Found {
  readonly arn: string;
  readonly version: number;
  readonly createdAt: Date;
  readonly artifactUri: string;
  readonly metadata: PackageMetadata;
  /** Null when its report is gone. */
  readonly quality: z.infer<typeof qualitySchema> | null;
  /** Training's, of the first held-out rows; empty when SageMaker has forgotten the job. */
  readonly predictions: readonly number[];
  readonly verification: readonly string[];
}

const READS_AT_A_TIME = 4;

/** A version whose decision the policy left to a person is pending, whatever was decided: that is looked up next. */
export async function registerSince(
  connection: pg.PoolClient,
  dependencies: RegisteredDependencies,
  since: { readonly fleet: string; readonly writtenAt: string; readonly findings: SinceFindings },
): Promise<void> {
  const { findings, fleet } = since;
  for await (const arns of newPackages(dependencies.sagemaker, since)) {
    const unknown = await unknownOf(connection, fleet, arns);
    const found: Found[] = [];
    await inParallel(READS_AT_A_TIME, unknown, async (arn) => {
      const one = await read(dependencies, fleet, arn);
      if (typeof one === "string") findings.lost.push(`model package ${arn}: ${one}`);
      else found.push(one);
    });
    // In the order of their versions, and one by one: they share the transaction's connection.
    found.sort((one, other) => one.version - other.version);
    for (const one of found) {
      const because = await rebuildCycle(connection, dependencies, { fleet, ...one });
      if (because !== null) findings.lost.push(`model package ${one.arn}: ${because}`);
      else if (await record(connection, fleet, one, findings)) findings.registered += 1;
    }
  }
}

/** A group's name is cut when it is long, but never its fleet's; whose it really is, its metadata says. */
async function* newPackages(
  sagemaker: SageMakerClient,
  { fleet, writtenAt }: { readonly fleet: string; readonly writtenAt: string },
): AsyncGenerator<string[]> {
  let NextToken: string | undefined;
  do {
    const page = await sagemaker.send(
      new ListModelPackagesCommand({
        ModelPackageType: "Versioned",
        CreationTimeAfter: sinceTime(writtenAt),
        MaxResults: LIMITS.listPageSize,
        ...(NextToken === undefined ? {} : { NextToken }),
      }),
    );
    yield (page.ModelPackageSummaryList ?? [])
      .filter(({ ModelPackageGroupName = "" }) => ModelPackageGroupName.startsWith(`${fleet}--`))
      .map(({ ModelPackageArn = "" }) => ModelPackageArn);
    NextToken = page.NextToken;
  } while (NextToken !== undefined);
}

async function unknownOf(
  connection: pg.PoolClient,
  fleet: string,
  arns: readonly string[],
): Promise<string[]> {
  const { rows } = await connection.query<{ arn: string }>(
    `select arn from unnest($2::text[]) as arn
      where not exists (select from releases where fleet = $1 and model_package_arn = arn and not cohort)
        and not exists (select from cohorts where fleet = $1 and model_package_arn = arn)`,
    [fleet, arns],
  );
  return rows.map(({ arn }) => arn);
}

/** Or why it cannot be rebuilt, as a sentence. */
async function read(
  dependencies: RegisteredDependencies,
  fleet: string,
  arn: string,
): Promise<Found | string> {
  const described = await dependencies.sagemaker.send(
    new DescribeModelPackageCommand({ ModelPackageName: arn }),
  );
  const { ModelPackageGroupName: group, ModelPackageVersion: version } = described;
  if (group === modelPackageGroupName(fleet, COHORT_KEY))
    return "a version of all customers, whose members the registry does not list; run its cycle again, whose job and version are found by their names";
  const parsed = metadataSchema.safeParse(described.CustomerMetadataProperties);
  if (!parsed.success) return "its metadata is not as modelfleet writes it";
  const metadata = parsed.data;
  const key = metadata["customer-key"];
  if (metadata.fleet !== fleet || group !== modelPackageGroupName(fleet, key))
    return `its metadata names another fleet or customer than its group ${group ?? ""}`;
  const artifactUri = artifactOf(described);
  if (version === undefined || artifactUri === undefined) return "it has no version or no artifact";
  const place = { fleet, cycle: metadata.cycle, customerKey: key };
  const report = await readText(dependencies, dependencies.bucket, s3Keys.evaluation(place));
  const quality = qualitySchema.safeParse(report === null ? null : JSON.parse(report));
  return {
    ...{ arn, version, artifactUri, metadata },
    createdAt: described.CreationTime ?? new Date(),
    quality: quality.success ? quality.data : null,
    ...(await readHeldOut(dependencies, metadata["training-job"])),
  };
}

const artifactOf = ({
  InferenceSpecification,
}: DescribeModelPackageCommandOutput): string | undefined =>
  InferenceSpecification?.Containers?.[0]?.ModelDataUrl;

const TARGET_AND_COMMA = /^[^,]*,/;

/** What a served model is asked, and what training answered: of the job, and of the rows that it was tested on. */
async function readHeldOut(
  dependencies: RegisteredDependencies,
  trainingJobName: string,
): Promise<Pick<Found, "predictions" | "verification">> {
  try {
    const job = await describeJob(dependencies.sagemaker, trainingJobName);
    const { predictions } = readEvaluation(job?.FinalMetricDataList ?? []);
    const test = job?.InputDataConfig?.find(({ ChannelName }) => ChannelName === "test");
    const uri = test?.DataSource?.S3DataSource?.S3Uri;
    if (uri === undefined) return { predictions: [], verification: [] };
    const { bucket, key } = parseS3Uri(`${uri}${uri.endsWith("/") ? "" : "/"}data.csv`);
    const text = (await readText(dependencies, bucket, key, "bytes=0-262143")) ?? "";
    const rows = text.split("\n").slice(0, predictions.length);
    const verification = rows.map((row) => row.trimEnd().replace(TARGET_AND_COMMA, ""));
    return verification.length === predictions.length
      ? { predictions, verification }
      : { predictions: [], verification: [] };
  } catch {
    // Then it cannot be verified, which is told where it is recorded.
    return { predictions: [], verification: [] };
  }
}

async function readText(
  { s3 }: RegisteredDependencies,
  Bucket: string,
  Key: string,
  Range?: string,
): Promise<string | null> {
  try {
    const { Body } = await s3.send(
      new GetObjectCommand({ Bucket, Key, ...(Range === undefined ? {} : { Range }) }),
    );
    return (await Body?.transformToString("utf8")) ?? null;
  } catch (error) {
    if (isMissingObject(error)) return null;
    throw error;
  }
}

/** False when the customer has another version of that cycle already, by the lineage. */
async function record(
  connection: pg.PoolClient,
  fleet: string,
  found: Found,
  findings: SinceFindings,
): Promise<boolean> {
  const { metadata, version } = found;
  const key = metadata["customer-key"];
  const name = await nameOf(connection, fleet, metadata);
  if (customerKey(name) !== key)
    findings.lost.push(
      `the id of customer ${key} in the warehouse, which the registry has as "${name}"`,
    );
  if (found.predictions.length === 0)
    findings.lost.push(
      `held-out rows and predictions of version ${version} of ${key}: where it serves it goes on, but it is not published or gone back to, since nothing can verify it`,
    );
  const approved = metadata.decision === "approve";
  const state = approved ? "approved" : "pending";
  await connection.query(
    `insert into customers as c (fleet, cycle, customer_key, customer, train_rows, validation_rows, test_rows, data_hash,
                                 verification, champion_version, state, reason, planned_spec_hash)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     on conflict (fleet, cycle, customer_key) do update
       set state = excluded.state, reason = excluded.reason, data_hash = coalesce(c.data_hash, excluded.data_hash),
           verification = coalesce(c.verification, excluded.verification), updated_at = now()`,
    [
      ...[fleet, metadata.cycle, key, name],
      ...[metadata["train-rows"], metadata["validation-rows"], metadata["test-rows"]],
      ...[metadata["data-hash"] ?? null, JSON.stringify(found.verification)],
      ...[metadata["champion-version"] ?? null, state, metadata.because, metadata["spec-hash"]],
    ],
  );
  await recordFigures(connection, fleet, found);
  const { rowCount } = await connection.query(
    `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name, artifact_uri,
                           state, decided_by, decided_at, workflow_id, created_at, generation)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, case when $9::text is null then null else $11::timestamptz end, $10, $11,
             (select generation from cycles where fleet = $1 and cycle = $4))
     on conflict do nothing`,
    [
      ...[fleet, key, version, metadata.cycle, found.arn, metadata["training-job"]],
      ...[found.artifactUri, state, approved ? `policy:${fleet}` : null],
      ...[workflowIds.releaseModel(fleet, key, version), found.createdAt],
    ],
  );
  if (rowCount === 1) return true;
  findings.lost.push(
    `version ${version} of ${key}: the lineage has another version of its cycle ${metadata.cycle}`,
  );
  return false;
}

/** A name that the registry's metadata could not hold is known from other cycles. */
async function nameOf(
  connection: pg.PoolClient,
  fleet: string,
  metadata: PackageMetadata,
): Promise<string> {
  const { rows } = await connection.query<{ customer: string }>(
    "select customer from customers where fleet = $1 and customer_key = $2 order by cycle desc limit 1",
    [fleet, metadata["customer-key"]],
  );
  return rows[0]?.customer ?? metadata.customer;
}

async function recordFigures(
  connection: pg.PoolClient,
  fleet: string,
  { metadata, quality, predictions, artifactUri, createdAt }: Found,
): Promise<void> {
  if (quality === null) return;
  const json = (value: unknown) => (value === null ? null : JSON.stringify(value));
  await connection.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, champion_metrics, baseline_metrics,
                              champion_version, artifact_uri, predictions, decision, because, reasons, improvement, segments,
                              testing, test_rows, objective_metric, objective_value, generation, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
             (select generation from cycles where fleet = $1 and cycle = $2), $20)
     on conflict do nothing`,
    [
      ...[fleet, metadata.cycle, metadata["customer-key"], metadata["training-job"]],
      ...[json(quality.regression_metrics), json(quality.champion_regression_metrics)],
      ...[json(quality.baseline_regression_metrics), metadata["champion-version"] ?? null],
      ...[
        artifactUri,
        JSON.stringify(predictions),
        metadata.decision,
        sentenceOf(quality, metadata),
      ],
      ...[JSON.stringify(quality.reasons), json(quality.improvement ?? null)],
      ...[JSON.stringify(quality.segments), metadata.testing === "true", metadata["test-rows"]],
      ...[quality.objective?.metric ?? null, quality.objective?.value ?? null, createdAt],
    ],
  );
}

/** The metadata has it without the signs that AWS does not take there; the report, reason by reason. */
const sentenceOf = (
  { reasons }: { readonly reasons: readonly string[] },
  { because }: PackageMetadata,
): string => (reasons.length === 0 ? because : reasons.join("; "));
