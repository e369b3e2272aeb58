/** Writes what a cycle exported beside the data: the columns that training reads, and the manifest for people. */
import { Readable } from "node:stream";
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import type pg from "pg";
import { comparisonRequest } from "../../fleet/comparison.js";
import type { GatePolicy } from "../../fleet/gate.schema.js";
import { CHANNELS, s3Keys } from "../../fleet/names.js";
import type { Cycle, CycleRef } from "../ledger/cycles.js";
import type { DatasetColumns } from "./columns.js";

export interface ManifestDestination {
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly bucket: string;
}

/** The schema channel: the target's name, and the features in the order of the CSV. */
export const writeColumns = (
  { target, features }: DatasetColumns,
  { fleet, cycle }: CycleRef,
  destination: ManifestDestination,
): Promise<void> =>
  putJson(destination, s3Keys.columns(fleet, cycle), { target, columns: features });

/** The schema channel, too: what the script compares with the champion. */
export const writeComparison = (
  gate: GatePolicy,
  { fleet, cycle }: CycleRef,
  destination: ManifestDestination,
): Promise<void> => putJson(destination, s3Keys.comparison(fleet, cycle), comparisonRequest(gate));

async function putJson(
  { s3, bucket }: ManifestDestination,
  key: string,
  content: object,
): Promise<void> {
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: JSON.stringify(content),
      ContentType: "application/json",
    }),
  );
}

/** The whole lineage of the data in one file: a hundred thousand customers do not fit a string, so it streams. */
export async function writeManifest(
  cycle: Cycle,
  o: ManifestDestination & {
    readonly sql: string;
    readonly columns: DatasetColumns;
    readonly rowsWithoutCustomer: number;
  },
): Promise<void> {
  const head = {
    fleet: cycle.fleet,
    cycle: cycle.cycle,
    workflowId: cycle.workflowId,
    specHash: cycle.specHash,
    // Models outlive a ledger that is lost, and serve by it.
    spec: cycle.spec,
    sourceHash: cycle.spec.training.sourceHash,
    window: cycle.window,
    split: cycle.spec.source.split,
    query: cycle.spec.source.query,
    sql: o.sql,
    target: o.columns.target,
    columns: o.columns.features,
    rowsWithoutCustomer: o.rowsWithoutCustomer,
  };
  const upload = new Upload({
    client: o.s3,
    params: {
      Bucket: o.bucket,
      Key: s3Keys.manifest(cycle.fleet, cycle.cycle),
      Body: Readable.from(manifestText(head, cycle, o)),
      ContentType: "application/json",
    },
    queueSize: 1,
  });
  await upload.done();
}

async function* manifestText(
  head: object,
  cycle: Cycle,
  o: ManifestDestination,
): AsyncGenerator<Buffer> {
  yield Buffer.from(`${JSON.stringify(head, null, 1).slice(0, -2)},\n "customers": [`);
  let separator = "\n";
  for await (const page of customerPages(o.ledger, cycle)) {
    const lines = page.map((row) => JSON.stringify(entry(row, cycle, o)));
    yield Buffer.from(separator + lines.join(",\n"));
    separator = ",\n";
  }
  yield Buffer.from("\n]}\n");
}

interface CustomerRow {
  readonly customer: string;
  readonly customer_key: string;
  readonly train_rows: string;
  readonly validation_rows: string;
  readonly test_rows: string;
  readonly invalid_rows: string;
  readonly data_hash: string | null;
}

const PAGE = 1000;

async function* customerPages(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): AsyncGenerator<CustomerRow[]> {
  for (let after = ""; ;) {
    const { rows } = await ledger.query<CustomerRow>(
      `select customer, customer_key, train_rows, validation_rows, test_rows, invalid_rows, data_hash
         from customers where fleet = $1 and cycle = $2 and customer_key > $3
        order by customer_key limit ${PAGE}`,
      [fleet, cycle, after],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    after = last.customer_key;
  }
}

function entry(
  row: CustomerRow,
  { fleet, cycle, spec }: Cycle,
  { bucket }: ManifestDestination,
): object {
  const rows = {
    train: Number(row.train_rows),
    validation: Number(row.validation_rows),
    test: Number(row.test_rows),
  };
  const key = { fleet, cycle, customerKey: row.customer_key };
  const filled = CHANNELS.filter((channel) => rows[channel] > 0);
  const keys =
    spec.training.kind === "sharded"
      ? filled.slice(0, 1).map(() => s3Keys.customerRows(key))
      : filled.map((channel) => s3Keys.rows({ ...key, channel }));
  const objects = keys.map((object) => `s3://${bucket}/${object}`);
  return {
    customer: row.customer,
    customerKey: row.customer_key,
    rows,
    invalidRows: Number(row.invalid_rows),
    dataHash: row.data_hash,
    objects,
  };
}
