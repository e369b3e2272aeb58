/** Takes one instance's share of a transform job's objects through the model, and stores what comes out. */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { s3Location } from "./arns.js";
import type { InputObject } from "./channels.js";
import { inOrder } from "./in-order.js";
import { JobFailure } from "./job-failure.js";
import type { Objects } from "./objects.js";
import { batchesOf } from "./transform-batches.js";
import type { TransformModel } from "./transform-model.js";
import type { TransformJob, TransformSettings } from "./transform-settings.js";

export interface Share {
  readonly objects: Objects;
  readonly job: TransformJob;
  readonly settings: TransformSettings;
  readonly model: TransformModel;
  /** Holds an object while it is read, and its output until it is complete. */
  readonly folder: string;
  readonly signal: AbortSignal;
}

/** An object on its way; whatever fails in one of its parts fails all of it. */
interface Passage {
  readonly object: InputObject;
  readonly files: { readonly input: string; readonly output: string };
  failure?: JobFailure;
}

type Step = { readonly passage: Passage; readonly body: Buffer | "end" };

const defaultTimeoutSeconds = 600;
const defaultRetries = 3;

/** Returns why objects failed, by URL. The outputs of all others are stored; none is stored in part. */
export async function transformShare(
  share: Share,
  inputs: readonly InputObject[],
): Promise<Map<string, string>> {
  await mkdir(share.folder, { recursive: true });
  const failures = new Map<string, string>();
  let output: FileHandle | undefined;
  const parts = inOrder(stepsOf(share, inputs), share.settings.concurrentTransforms, (step) =>
    transformStep(share, step),
  );
  try {
    for await (const { passage, part } of parts) {
      output ??= await open(passage.files.output, "w");
      if (part !== "end") {
        await output.appendFile(part);
        continue;
      }
      await output.close();
      output = undefined;
      if (passage.failure === undefined) await store(share, passage);
      else failures.set(urlOf(passage.object), passage.failure.message);
      await rm(passage.files.output, { force: true });
    }
  } finally {
    await output?.close();
  }
  return failures;
}

/** The bodies of all requests, object by object, each object's followed by its end. */
async function* stepsOf(share: Share, inputs: readonly InputObject[]): AsyncGenerator<Step> {
  const { settings, folder, signal } = share;
  for (const [index, object] of inputs.entries()) {
    signal.throwIfAborted();
    const files = { input: join(folder, `${index}.in`), output: join(folder, `${index}.out`) };
    const passage: Passage = { object, files };
    const rules = {
      isSplit: share.job.TransformInput.SplitType === "Line",
      strategy: settings.strategy,
      maxBytes: settings.maxPayloadBytes,
    };
    try {
      await fetchObject(share, passage);
      // A failed object is not asked about any further.
      for await (const body of batchesOf(readInput(share, passage), rules)) {
        if (passage.failure !== undefined) break;
        yield { passage, body };
      }
    } catch (error) {
      passage.failure ??= failureOf(error, signal);
    }
    await rm(files.input, { force: true });
    yield { passage, body: "end" };
  }
}

/** To the disk first: a slow model must not keep a connection to the store waiting. */
async function fetchObject({ objects, signal }: Share, { object, files }: Passage): Promise<void> {
  const body = await objects.read(object.location).catch((error: unknown) => {
    const name = error instanceof Error ? error.name : "";
    if (!["NoSuchKey", "AccessDenied", "NoSuchBucket"].includes(name)) throw error;
    throw new JobFailure(`ClientError: cannot read it (${name})`);
  });
  await pipeline(body, createWriteStream(files.input), { signal });
}

async function* readInput({ job }: Share, { files }: Passage): AsyncGenerator<Buffer> {
  const file = createReadStream(files.input);
  if (job.TransformInput.CompressionType !== "Gzip") {
    yield* file as AsyncIterable<Buffer>;
    return;
  }
  const unpacked = createGunzip();
  const feeding = pipeline(file, unpacked);
  feeding.catch(() => undefined); // Told by the loop below, which ends with the same error.
  try {
    yield* unpacked as AsyncIterable<Buffer>;
  } catch (error) {
    throw new JobFailure(
      `ClientError: it is not a gzip file (${error instanceof Error ? error.message : ""})`,
    );
  }
}

async function transformStep(
  { job, settings, model, signal }: Share,
  { passage, body }: Step,
): Promise<{ passage: Passage; part: Buffer | "end" }> {
  if (body === "end") return { passage, part: "end" };
  const nothing = { passage, part: Buffer.alloc(0) };
  if (passage.failure !== undefined) return nothing;
  const { ModelClientConfig: client = {}, TransformInput, TransformOutput } = job;
  try {
    const answer = await model.invoke({
      body: settings.filters?.toModel(body) ?? body,
      contentType: TransformInput.ContentType,
      accept: TransformOutput?.Accept,
      timeoutMs: (client.InvocationsTimeoutInSeconds ?? defaultTimeoutSeconds) * 1000,
      retries: client.InvocationsMaxRetries ?? defaultRetries,
    });
    const part = settings.filters?.fromModel(body, answer) ?? answer;
    return { passage, part: assembled(part, TransformOutput?.AssembleWith) };
  } catch (error) {
    passage.failure ??= failureOf(error, signal);
    return nothing;
  }
}

/** AssembleWith Line: each record ends with a line feed, also where the model wrote none after its last. */
function assembled(part: Buffer, assembleWith: string | undefined): Buffer {
  if (assembleWith !== "Line" || part.at(-1) === 10) return part;
  return Buffer.concat([part, Buffer.from("\n")]);
}

async function store({ objects, job, signal }: Share, { object, files }: Passage): Promise<void> {
  signal.throwIfAborted();
  const url = `${job.TransformOutput?.S3OutputPath.replace(/\/+$/, "") ?? ""}/${object.path}.out`;
  await objects.write(s3Location(url), createReadStream(files.output));
}

/** What is no fault of the object's ends the job. */
function failureOf(error: unknown, signal: AbortSignal): JobFailure {
  if (error instanceof JobFailure && !signal.aborted) return error;
  throw error;
}

const urlOf = ({ location: { bucket, key } }: InputObject): string => `s3://${bucket}/${key}`;
