/** One job that trains CatBoost and XGBoost, beside two jobs with one of them each: time, and bytes downloaded. */
import { fileURLToPath } from "node:url";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { readSourceArchive } from "../../client/source-archive.js";
import type { Table } from "../report.js";
import type { BenchStack, Tell } from "../stack.js";
import { median, withSpread } from "../statistics.js";
import { train, type JobPlace, type Trained } from "./jobs.js";
import { writeRows } from "./rows.js";

export interface EnsembleOptions {
  readonly rows: readonly number[];
  readonly repetitions: number;
}

const folder = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

export async function benchEnsemble(stack: BenchStack, options: EnsembleOptions, tell: Tell) {
  const region = required(stack, "AWS_REGION");
  const bucket = required(stack, "MODELFLEET_BUCKET");
  const s3 = new S3Client({ region, forcePathStyle: true });
  const sagemaker = new SageMakerClient({ region });
  const code = await readSourceArchive(folder("examples/ensemble/blend"), [
    folder("examples/ensemble/cross_validation"),
    folder("training/xgboost_regression/model_evaluation"),
  ]);
  const codeKey = "bench/ensemble/sourcedir.tar.gz";
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: codeKey, Body: await code.bytes() }));
  const place = { region, bucket, codeKey, roleArn: required(stack, "MODELFLEET_ROLE_ARN") };
  const tables: Table[] = [];
  for (const rows of options.rows) {
    const { prefix, bytes } = await writeRows(s3, bucket, rows);
    tables.push(await measure(sagemaker, { ...place, prefix, bytes, rows }, options, tell));
  }
  s3.destroy();
  sagemaker.destroy();
  return { title: "two models from one training job, or from two", tables, notes };
}

type Sizes = JobPlace & { readonly bytes: number; readonly rows: number };

async function measure(
  sagemaker: SageMakerClient,
  place: Sizes,
  { repetitions }: EnsembleOptions,
  tell: Tell,
): Promise<Table> {
  const together: Trained[] = [];
  const apart: Trained[] = [];
  // The first job of each size loads what the others find loaded.
  await train(sagemaker, place, "catboost,xgboost");
  for (let repetition = 1; repetition <= repetitions; repetition++) {
    tell(`${place.rows} rows, ${repetition} of ${repetitions}`);
    together.push(await train(sagemaker, place, "catboost,xgboost"));
    apart.push(
      sum(await train(sagemaker, place, "catboost"), await train(sagemaker, place, "xgboost")),
    );
  }
  const share = (of: (trained: Trained) => number) =>
    `${Math.round((100 * median(together.map(of))) / median(apart.map(of)))} %`;
  const seconds = (trained: readonly Trained[], of: (one: Trained) => number) =>
    withSpread(trained.map(of), 2);
  const megabytes = (jobs: number) => ((jobs * place.bytes) / 1e6).toFixed(2);
  return {
    title: `${place.rows.toLocaleString("en-US")} rows of 10 features, ${megabytes(1)} MB`,
    headers: ["", "wall time (s)", "of it downloading (s)", "downloaded (MB)"],
    rows: [
      ["one job, both models", seconds(together, wall), seconds(together, download), megabytes(1)],
      ["two jobs, one each", seconds(apart, wall), seconds(apart, download), megabytes(2)],
      ["one job's share", share(wall), share(download), "50 %"],
    ],
  };
}

const wall = (trained: Trained): number => trained.wallSeconds;
const download = (trained: Trained): number => trained.downloadSeconds;

const sum = (one: Trained, other: Trained): Trained => ({
  wallSeconds: one.wallSeconds + other.wallSeconds,
  downloadSeconds: one.downloadSeconds + other.downloadSeconds,
});

const notes = [
  "The article claims that the download phase and the stored volume halve: they do, by construction. What a whole job saves " +
    "beside it is its start: milliseconds here, minutes on AWS.",
  "Two jobs run one after the other, as on one instance; both ways fit the same models with 5-fold cross-validation.",
  "Wall time is from CreateTrainingJob to the Describe that says Completed, asked every 20 ms; downloading is the job's own " +
    "SecondaryStatusTransitions.",
];

function required({ environment }: BenchStack, name: string): string {
  const value = environment[name];
  if (value === undefined) throw new Error(`the stack has no setting ${name}`);
  return value;
}
