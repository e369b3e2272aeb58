/** Reads what a sharded job has made and told: artifacts in its checkpoint folder, lines in its output archive. */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { GetObjectCommand, paginateListObjectsV2, type S3Client } from "@aws-sdk/client-s3";
import type { DescribeTrainingJobResponse } from "@aws-sdk/client-sagemaker";
import { extract } from "tar-stream";
import { FAILURES } from "../fleet/errors.js";
import { LIMITS } from "../fleet/limits.js";
import { cohortArtifact } from "../fleet/names.js";
import { messageOf, permanent } from "./application-failure.js";
import { isMissingObject, parseS3Uri } from "./s3-uri.js";

/** File names of all hosts in one archive: each tells of its own customers. */
const RESULTS = /^(.*\/)?results-[^/]+\.jsonl$/;

/** One customer's line, or null for one that is too long to be read. */
export type ResultLine = string | null;

/**
 * Streams: neither the archive nor a line is ever held whole beyond LIMITS.customerLineBytes. Throws
 * TrainingAlgorithmError when there is no such archive, when it is broken, or larger than `customers` can account for.
 */
export async function* resultLines(
  s3: S3Client,
  job: DescribeTrainingJobResponse,
  customers: number,
): AsyncGenerator<ResultLine> {
  const uri = outputUri(job);
  const entries = extract();
  const feeding = pipeline(await open(s3, uri), createGunzip(), entries);
  feeding.catch(() => undefined); // Told by the loop below, which ends with the same error.
  const limit = bounded(uri, (customers + 1) * LIMITS.customerLineBytes);
  try {
    for await (const entry of entries) {
      if (RESULTS.test(entry.header.name)) yield* lines(limit(entry));
      else for await (const chunk of limit(entry)) void chunk;
    }
    await feeding;
  } catch (error) {
    throw isBroken(error) ? broken(uri, error) : error;
  }
}

const outputUri = ({ OutputDataConfig, TrainingJobName }: DescribeTrainingJobResponse): string =>
  `${OutputDataConfig?.S3OutputPath?.replace(/\/$/, "")}/${TrainingJobName}/output/output.tar.gz`;

async function open(s3: S3Client, uri: string): Promise<Readable> {
  const { bucket, key } = parseS3Uri(uri);
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    if (Body instanceof Readable) return Body;
    throw new Error(`S3 gave no stream for ${uri}`);
  } catch (error) {
    if (!isMissingObject(error)) throw error;
    throw permanent(FAILURES.trainingAlgorithmError, {
      message: `the training job completed without telling of any customer: ${uri} does not exist`,
      hint: "write a JSON line for each customer to results-<host>.jsonl in SM_OUTPUT_DATA_DIR",
    });
  }
}

/** A small archive can hold a very large one: more unpacked bytes than the limit are refused. */
function bounded(uri: string, limitBytes: number) {
  let bytes = 0;
  return async function* (chunks: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      if (!Buffer.isBuffer(chunk)) throw new Error("an archive's entry is not read as bytes");
      bytes += chunk.length;
      if (bytes > limitBytes)
        throw permanent(FAILURES.trainingAlgorithmError, {
          message: `${uri} unpacks to more than ${limitBytes} bytes`,
          hint: "write nothing but a short JSON line for each customer to SM_OUTPUT_DATA_DIR",
        });
      yield chunk;
    }
  };
}

const NEWLINE = 0x0a;

async function* lines(chunks: AsyncIterable<Buffer>): AsyncGenerator<ResultLine> {
  let parts: Buffer[] = [];
  let length = 0;
  const take = (): ResultLine => {
    const line = length > LIMITS.customerLineBytes ? null : Buffer.concat(parts).toString("utf8");
    parts = [];
    length = 0;
    return line;
  };
  const add = (part: Buffer): void => {
    length += part.length;
    // Of a line that is too long, the rest is only counted.
    if (length <= LIMITS.customerLineBytes) parts.push(part);
    else parts = [];
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      add(chunk.subarray(start, end));
      start = end + 1;
      if (length > 0) yield take();
    }
    add(chunk.subarray(start));
  }
  if (length > 0) yield take();
}

/** zlib and tar-stream say `incorrect header check` and the like. */
function isBroken(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return code.startsWith("Z_") || /\btar\b|header|unexpected end|premature/i.test(error.message);
}

const broken = (uri: string, error: unknown) =>
  permanent(FAILURES.trainingAlgorithmError, {
    message: `${uri} cannot be read: ${messageOf(error)}`,
    hint: "look at the job's log, then run the cycle again with --force",
    cause: error,
  });

/** Keys of the customers whose artifact is in the checkpoint folder, of those that are asked for; one List a thousand. */
export async function artifactsOf(
  s3: S3Client,
  checkpoints: string,
  customerKeys: ReadonlyMap<string, unknown>,
): Promise<ReadonlySet<string>> {
  const { bucket, key: prefix } = parseS3Uri(checkpoints);
  const found = new Set<string>();
  const suffix = cohortArtifact("");
  for await (const { Contents } of paginateListObjectsV2(
    { client: s3 },
    { Bucket: bucket, Prefix: prefix },
  ))
    for (const { Key = "" } of Contents ?? []) {
      const name = Key.slice(prefix.length);
      if (!name.endsWith(suffix)) continue;
      const customerKey = name.slice(0, -suffix.length);
      if (customerKeys.has(customerKey)) found.add(customerKey);
    }
  return found;
}
