/** Reads what a preparation wrote: the columns, and for each customer how many rows there are and their hash. */
import { createHash } from "node:crypto";
import { GetObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import type pg from "pg";
import { z } from "zod";
import { comparisonRequest } from "../fleet/comparison.js";
import { FAILURES } from "../fleet/errors.js";
import { LIMITS } from "../fleet/limits.js";
import { CHANNELS, customerFile, s3Keys, type Channel } from "../fleet/names.js";
import { permanent } from "./application-failure.js";
import { csvLines } from "./csv-lines.js";
import { inParallel } from "./in-parallel.js";
import type { Cycle } from "./ledger/cycles.js";
import { exportedCustomers, recordPrepared, type PreparedDataset } from "./ledger/exported.js";
import { isMissingObject } from "./s3-uri.js";

export interface PreparedSource {
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly bucket: string;
}

const PAGE = 500;
const DOWNLOADS = 16;

/** `folder` is laid out as a cycle's own. Last it becomes what the cycle trains on. */
export async function readPrepared(
  source: PreparedSource,
  cycle: Cycle,
  folder: string,
  onCustomers: (done: number) => void,
): Promise<void> {
  const columns = await readColumns(source, cycle, folder);
  const { minimumRows } = cycle.spec.source;
  let rows = 0;
  for (let after = ""; ;) {
    const options = { minimumRows, after, limit: PAGE };
    const customers = await exportedCustomers(source.ledger, cycle, options);
    const last = customers.at(-1);
    if (last === undefined) break;
    const prepared: PreparedDataset[] = [];
    await inParallel(DOWNLOADS, customers, async (customerKey) => {
      prepared.push(await readCustomer(source, cycle, { folder, customerKey }));
    });
    await recordPrepared(source.ledger, cycle, prepared);
    for (const one of prepared) rows += one.rows.train + one.rows.validation + one.rows.test;
    onCustomers(customers.length);
    after = last;
  }
  if (rows === 0)
    throw failed(
      `it wrote no rows for any customer below s3://${source.bucket}/${folder}`,
      "write --output/data/<customer key>/<train|validation|test>/data.csv, as below --data",
    );
  await keepComparison(source, cycle, folder);
  await source.ledger.query(
    "update cycles set prepared = $3, columns = $4 where fleet = $1 and cycle = $2",
    [cycle.fleet, cycle.cycle, folder, JSON.stringify(columns)],
  );
}

const columnsSchema = z.object({
  target: z.string(),
  columns: z.array(z.object({ name: z.string(), type: z.enum(["number", "category"]) })).min(1),
});

/** As the ledger keeps them: the target first. */
async function readColumns(
  { s3, bucket }: PreparedSource,
  { spec }: Cycle,
  folder: string,
): Promise<{ name: string; type: string }[]> {
  const key = `${folder}schema/columns.json`;
  const hint = "copy --schema/columns.json to --output/schema, with the features as they are now";
  let text: string | undefined;
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    text = await Body?.transformToString();
  } catch (error) {
    if (!isMissingObject(error)) throw error;
    throw failed(`it wrote no schema/columns.json: s3://${bucket}/${key} is not there`, hint);
  }
  const parsed = columnsSchema.safeParse(parseJson(text));
  if (!parsed.success)
    throw failed(`its schema/columns.json is wrong: ${z.prettifyError(parsed.error)}`, hint);
  const { target, columns } = parsed.data;
  if (target !== spec.source.target)
    throw failed(
      `its schema/columns.json has the target "${target}", source.target is "${spec.source.target}"`,
      hint,
    );
  return [{ name: target, type: "number" }, ...columns];
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}

async function readCustomer(
  source: PreparedSource,
  { spec }: Cycle,
  { folder, customerKey }: { readonly folder: string; readonly customerKey: string },
): Promise<PreparedDataset> {
  const counts = new Rows();
  if (spec.training.kind === "sharded")
    for await (const line of lines(source, `${folder}customers/${customerFile(customerKey)}`)) {
      const comma = line.indexOf(",");
      counts.add(channelOf(line.toString("utf8", 0, comma), customerKey), line.subarray(comma + 1));
    }
  else
    for (const channel of CHANNELS) {
      const key = `${s3Keys.data(folder)}${customerKey}/${channel}/data.csv`;
      for await (const line of lines(source, key)) counts.add(channel, line);
    }
  return { customerKey, ...counts.result() };
}

function channelOf(name: string, customerKey: string): Channel {
  const channel = CHANNELS.find((one) => one === name);
  if (channel !== undefined) return channel;
  throw failed(
    `a row of customer ${customerKey} begins with "${name}", not with its split`,
    `leave ${CHANNELS.join(", ")} where the export has it: first`,
  );
}

async function* lines({ s3, bucket }: PreparedSource, key: string): AsyncGenerator<Buffer> {
  try {
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    if (Body !== undefined) yield* csvLines(Body.transformToWebStream());
  } catch (error) {
    if (!isMissingObject(error)) throw error;
  }
}

/** Of one customer, as the export would have told them. */
class Rows {
  private readonly rows = { train: 0, validation: 0, test: 0 };
  private readonly hashes = {
    train: createHash("sha256"),
    validation: createHash("sha256"),
    test: createHash("sha256"),
  };
  private readonly verification: string[] = [];

  add(channel: Channel, line: Buffer): void {
    this.rows[channel]++;
    this.hashes[channel].update(line);
    if (channel !== "test" || this.verification.length >= LIMITS.verificationRows) return;
    const text = line.toString("utf8").trimEnd();
    this.verification.push(text.slice(text.indexOf(",") + 1));
  }

  result(): Omit<PreparedDataset, "customerKey"> {
    const { rows, verification } = this;
    const all = createHash("sha256");
    for (const channel of CHANNELS) all.update(this.hashes[channel].digest());
    const some = rows.train + rows.validation + rows.test > 0;
    return { rows, verification, dataHash: some ? all.digest("hex") : null };
  }
}

/** What the training script compares with the champion is the fleet's to say, not the preparation's. */
async function keepComparison(
  { s3, bucket }: PreparedSource,
  { spec }: Cycle,
  folder: string,
): Promise<void> {
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: `${folder}schema/evaluation.json`,
      Body: JSON.stringify(comparisonRequest(spec.gate)),
      ContentType: "application/json",
    }),
  );
}

const failed = (what: string, hint: string) =>
  permanent(FAILURES.preparationFailed, {
    message: `the preparation completed, but ${what}`,
    hint,
  });
