/** One cohort from its approval on the command line to the last customer's pointer; and a loop that only copies. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { paginateListObjectsV2, S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { Client, Connection } from "@temporalio/client";
import { MockActivityEnvironment } from "@temporalio/testing";
import type pg from "pg";
import { z } from "zod";
import { createCohortRegistrationActivities } from "../../activities/cohort-registration.js";
import { DEFAULT_PACE, TASK_QUEUES, workflowIds, WORKFLOWS } from "../../workflows/messages.js";
import { callsBetween, startWorker, type AwsCalls } from "../cycle/worker-process.js";
import { withLedger } from "../ledger.js";
import { required, type BenchStack, type Tell } from "../stack.js";
import { CYCLE, evaluatedCohort, STAGE, type EvaluatedCohort } from "./fleet.js";

export interface PublishRun {
  readonly members: number;
  /** The package, its report and all rows. */
  readonly registerSeconds: number;
  /** From the command's start until every customer has a pointer. */
  readonly servingSeconds: number;
  /** The worker's, oldest first. */
  readonly residentBytes: readonly number[];
  readonly calls: AwsCalls;
  /** Copies alone, one after the other, by boto3. */
  readonly loopSeconds: number;
  /** The same with 32 threads. */
  readonly threadsSeconds: number;
}

const PATIENCE_SECONDS = 3600;
const THREADS = 32;
const root = join(import.meta.dirname, "..", "..");
const execute = promisify(execFile);

export async function measurePublish(
  stack: BenchStack,
  members: number,
  tell: Tell,
): Promise<PublishRun> {
  return withLedger(stack, async (ledger) => {
    const cohort = await evaluatedCohort(stack, ledger, members);
    tell(`${members} artifacts are there`);
    const { fleet } = cohort;
    const worker = await startWorker(stack, fleet);
    try {
      const registerSeconds = await register(stack, ledger, fleet);
      const before = await worker.calls();
      const started = performance.now();
      await approve(stack, fleet);
      await untilServing(ledger, fleet, members);
      const servingSeconds = (performance.now() - started) / 1000;
      tell(`${members} models serve after ${servingSeconds.toFixed(1)} s`);
      const calls = callsBetween(before, await worker.calls());
      const residentBytes = await worker.memory();
      await assertPointers(cohort, members);
      const loopSeconds = await copyLoop(stack, cohort, members, 1);
      const threadsSeconds = await copyLoop(stack, cohort, members, THREADS);
      tell(
        `copied by a loop in ${loopSeconds.toFixed(1)} s, by threads in ${threadsSeconds.toFixed(1)} s`,
      );
      const seconds = { registerSeconds, servingSeconds, loopSeconds, threadsSeconds };
      return { members, ...seconds, residentBytes, calls };
    } finally {
      await worker.stop();
    }
  });
}

/** As the end of a sharded cycle does it: the activity, then the release. */
async function register(stack: BenchStack, ledger: pg.Pool, fleet: string): Promise<number> {
  const address = required(stack.environment, "TEMPORAL_ADDRESS");
  const namespace = required(stack.environment, "TEMPORAL_NAMESPACE");
  const connection = await Connection.connect({ address });
  const temporal = new Client({ connection, namespace });
  const sagemaker = new SageMakerClient({});
  const s3 = new S3Client({ forcePathStyle: true });
  try {
    const { registerCohort } = createCohortRegistrationActivities({
      ...{ ledger, sagemaker, s3, temporal, watchSeconds: 60 },
      region: required(stack.environment, "AWS_REGION"),
      bucket: required(stack.environment, "MODELFLEET_BUCKET"),
    });
    const started = performance.now();
    const registered = await asActivity(registerCohort, { fleet, cycle: CYCLE });
    const seconds = (performance.now() - started) / 1000;
    if (registered === null) throw new Error("nothing was registered");
    const { version, members, evaluation } = registered;
    const input = { fleet, stage: STAGE, cycle: CYCLE, version, members, evaluation };
    await temporal.workflow.start(WORKFLOWS.releaseCohort, {
      workflowId: workflowIds.releaseCohort(fleet, version),
      taskQueue: TASK_QUEUES.control,
      args: [{ ...input, pace: DEFAULT_PACE }],
    });
    return seconds;
  } finally {
    sagemaker.destroy();
    s3.destroy();
    await connection.close();
  }
}

const asActivity = <Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: Input,
): Promise<Output> => new MockActivityEnvironment().run(activity, input);

/** As a user types it, in a process of its own. */
async function approve(stack: BenchStack, fleet: string): Promise<void> {
  const words = ["approve", fleet, "--cohort", CYCLE, "--yes", "--by", "bench"];
  const child = spawn(process.execPath, [join(root, "bin", "modelfleet.js"), ...words], {
    env: { ...process.env, ...stack.environment, MODELFLEET_ENV_FILE: "" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [said] = await Promise.all([text(child.stderr), once(child, "exit")]);
  if (child.exitCode !== 0) throw new Error(`approve ended with ${child.exitCode}: ${said}`);
}

async function untilServing(ledger: pg.Pool, fleet: string, members: number): Promise<void> {
  const deadline = Date.now() + PATIENCE_SECONDS * 1000;
  for (;;) {
    const { rows } = await ledger.query<{ serving: number; rejected: number; note: string | null }>(
      `select count(*) filter (where state = 'serving')::int as serving,
              count(*) filter (where state = 'rejected')::int as rejected, min(note) as note
         from releases where fleet = $1`,
      [fleet],
    );
    const [row] = rows;
    if (row?.serving === members) return;
    if (row !== undefined && row.rejected > 0) throw new Error(`rejected: ${row.note ?? "?"}`);
    if (Date.now() > deadline) throw new Error(`stands still: ${JSON.stringify(row)}`);
    await delay(200);
  }
}

/** The clock counts only if every customer is really pointed to a model. */
async function assertPointers({ fleet, bucket }: EvaluatedCohort, members: number): Promise<void> {
  const s3 = new S3Client({ forcePathStyle: true });
  let pointers = 0;
  try {
    const Prefix = `fleets/${fleet}/stages/${STAGE}/pointers/`;
    for await (const { Contents = [] } of paginateListObjectsV2(
      { client: s3 },
      { Bucket: bucket, Prefix },
    ))
      pointers += Contents.length;
  } finally {
    s3.destroy();
  }
  if (pointers !== members) throw new Error(`${pointers} pointers of ${members}`);
}

const loopSchema = z.object({ copied: z.number(), seconds: z.number() });

async function copyLoop(
  stack: BenchStack,
  { bucket, folder }: EvaluatedCohort,
  members: number,
  threads: number,
): Promise<number> {
  const script = join(import.meta.dirname, "copy_loop.py");
  const target = `bench/copies-${threads}/`;
  const { stdout } = await execute(
    stack.productPython,
    [script, bucket, folder, target, String(threads)],
    { env: { ...process.env, ...stack.environment } },
  );
  const { copied, seconds } = loopSchema.parse(JSON.parse(stdout));
  if (copied !== members) throw new Error(`the loop copied ${copied} of ${members}`);
  return seconds;
}
