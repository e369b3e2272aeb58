/** Writes what a sharded job reads of its cohort beside rows and schema; streamed, since a cohort may be large. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import type pg from "pg";
import { customerFile, s3Keys } from "../fleet/names.js";
import type { TuningSpec } from "../fleet/tuning.schema.js";
import type { CycleRef } from "./ledger/cycles.js";
import { cohortPages, type CohortMember } from "./ledger/cohort.js";
import {
  planPackedSearches,
  recordPackedSearches,
  type PackedSearch,
  type PackedWork,
} from "./ledger/packed-searches.js";
import { parseS3Uri } from "./s3-uri.js";
import { INPUTS } from "./sharded-job-request.js";

export interface CohortSummary {
  readonly customers: number;
  readonly hasChampions: boolean;
  /** Of all that the job reads of its customers. */
  readonly hash: string;
}

/** One pass over the cohort. */
export async function summariseCohort(
  ledger: pg.Pool,
  cycle: CycleRef,
  tuning: TuningSpec | undefined,
): Promise<CohortSummary> {
  const hash = createHash("sha256");
  let customers = 0;
  let hasChampions = false;
  for await (const members of cohortPages(ledger, cycle)) {
    customers += members.length;
    hasChampions ||= members.some(({ championUri }) => championUri !== null);
    for (const { customerKey, dataHash, championUri } of members)
      hash.update(`${JSON.stringify([customerKey, dataHash, championUri])}\n`);
    if (tuning === undefined) continue;
    for (const search of await planPackedSearches(ledger, { ...cycle, tuning }, members))
      hash.update(trialLine(search));
  }
  return { customers, hasChampions, hash: hash.digest("hex") };
}

export interface InputsDestination {
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly bucket: string;
}

/** Done again, everything is written over with what it was. */
export async function writeCohortInputs(
  destination: InputsDestination,
  work: Omit<PackedWork, "tuning">,
  {
    tuning,
    prepared,
  }: { readonly tuning: TuningSpec | undefined; readonly prepared: string | null },
): Promise<void> {
  const { ledger, bucket } = destination;
  const folder = s3Keys.cohortInputs(work);
  const write = (name: string, lines: AsyncIterable<string>) =>
    upload(destination, folder + name, lines);
  const members = () => cohortPages(ledger, work);
  const rows = s3Keys.customers(work.fleet, work.cycle, prepared);
  await write(INPUTS.customers, manifest(`s3://${bucket}/${rows}`, keysOf(members(), fileOf)));
  await write(INPUTS.championPaths, championPaths(bucket, members()));
  await write(
    INPUTS.champions,
    manifest(`s3://${bucket}/`, championKeys(bucket, folder, members())),
  );
  if (tuning === undefined) return;
  const { ranges, objective, direction, strategy, seed } = tuning;
  await write(
    INPUTS.tuning,
    once(JSON.stringify({ ranges, objective, direction, strategy, seed })),
  );
  await write(INPUTS.trialLines, trialLines(ledger, { ...work, tuning }));
}

type Pages = AsyncIterable<readonly CohortMember[]>;

const fileOf = ({ customerKey }: CohortMember): string[] => [customerFile(customerKey)];

async function* keysOf(
  pages: Pages,
  keys: (member: CohortMember) => string[],
): AsyncGenerator<string> {
  for await (const members of pages) yield* members.flatMap(keys);
}

/** `[{"prefix": …}, "key", …]`, as SageMaker's ManifestFile; every key is below the prefix. */
async function* manifest(prefix: string, keys: AsyncIterable<string>): AsyncGenerator<string> {
  yield `[${JSON.stringify({ prefix })}`;
  for await (const key of keys) yield `,\n${JSON.stringify(key)}`;
  yield "]\n";
}

/** The key of a champion's artifact, which is its path in the channel. A manifest reaches one bucket only. */
function championKey(bucket: string, { championUri }: CohortMember): string[] {
  if (championUri === null) return [];
  const { bucket: theirs, key } = parseS3Uri(championUri);
  return theirs === bucket ? [key] : [];
}

async function* championKeys(bucket: string, folder: string, pages: Pages): AsyncGenerator<string> {
  yield folder + INPUTS.championPaths;
  yield* keysOf(pages, (member) => championKey(bucket, member));
}

/** `{"<customer key>": "<path in the channel>"}` */
async function* championPaths(bucket: string, pages: Pages): AsyncGenerator<string> {
  let separator = "{\n";
  for await (const members of pages)
    for (const member of members)
      for (const path of championKey(bucket, member)) {
        yield `${separator}${JSON.stringify(member.customerKey)}: ${JSON.stringify(path)}`;
        separator = ",\n";
      }
  yield separator === "{\n" ? "{}\n" : "\n}\n";
}

async function* trialLines(ledger: pg.Pool, work: PackedWork): AsyncGenerator<string> {
  for await (const members of cohortPages(ledger, work)) {
    const searches = await planPackedSearches(ledger, work, members);
    await recordPackedSearches(ledger, work, searches, members);
    yield* searches.map(trialLine);
  }
}

/** What the script is told of one customer's search. */
const trialLine = ({ customerKey, maxJobs, seeds }: PackedSearch): string =>
  `${JSON.stringify({ customer: customerKey, maxTrials: maxJobs, trials: seeds })}\n`;

async function* once(text: string): AsyncGenerator<string> {
  yield text;
}

/** So many characters are sent on at a time: a stream of single lines would be slow. */
const CHUNK = 64 * 1024;

async function* inChunks(lines: AsyncIterable<string>): AsyncGenerator<Buffer> {
  let chunk = "";
  for await (const line of lines) {
    chunk += line;
    if (chunk.length < CHUNK) continue;
    yield Buffer.from(chunk);
    chunk = "";
  }
  yield Buffer.from(chunk);
}

async function upload(
  { s3, bucket }: InputsDestination,
  key: string,
  lines: AsyncIterable<string>,
): Promise<void> {
  const params = { Bucket: bucket, Key: key, Body: Readable.from(inChunks(lines)) };
  await new Upload({ client: s3, params, queueSize: 1 }).done();
}
