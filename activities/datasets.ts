/** Exports a cycle's rows from the warehouse, split per customer, into the fleet's bucket. */
import type { S3Client } from "@aws-sdk/client-s3";
import { cancellationSignal, heartbeat, log } from "@temporalio/activity";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { LIMITS } from "../fleet/limits.js";
import { customerKey } from "../fleet/names.js";
import { bindWindow } from "../fleet/sql.js";
import { permanent } from "./application-failure.js";
import { datasetColumns, refuseUnknownSegments } from "./export/columns.js";
import { copyQuery } from "./export/copy-query.js";
import { BufferPool } from "./export/buffer-pool.js";
import { DatasetWriter } from "./export/dataset-writer.js";
import { describeQuery, serverVersion } from "./export/describe-query.js";
import { LedgerBatch } from "./export/ledger-batch.js";
import { writeColumns, writeComparison, writeManifest } from "./export/manifest.js";
import { RowSplitter } from "./export/row-splitter.js";
import { UploadWindow } from "./export/upload-window.js";
import { inWarehouse, type Warehouse } from "./export/warehouse.js";
import { customersToRetrain } from "./ledger/drift.js";
import { readCycle, type Cycle, type CycleRef } from "./ledger/cycles.js";
import { clearDatasets, recordMissingCustomers, releasedKeys } from "./ledger/datasets.js";

export interface DatasetDependencies {
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly bucket: string;
  /** Value of a secret that a spec names, such as WAREHOUSE_URL; undefined when the worker has none. */
  readonly secret: (name: string) => Promise<string | undefined>;
}

export interface ExportedDataset {
  readonly customers: number;
  /** Rows exported, over all customers and splits. */
  readonly rows: number;
  /** Rows left out because the target is NULL, NaN or infinite. */
  readonly invalidRows: number;
  /** Rows left out because the customer is NULL. */
  readonly rowsWithoutCustomer: number;
}

/** Uploads under way: enough to hide S3's latency, and little memory. */
const UPLOADS = { uploads: 16, bytes: 16 * 1024 * 1024 };

export const createDatasetActivities = (dependencies: DatasetDependencies) => ({
  /** Runs long: heartbeats with `{customers, rows}`. Queue `TASK_QUEUES.warehouse`. */
  async exportDataset(input: CycleRef): Promise<ExportedDataset> {
    const cycle = await readCycle(dependencies.ledger, input);
    if (cycle.rows !== null) return readExported(dependencies.ledger, cycle);
    const { connection } = cycle.spec.source;
    const url = await dependencies.secret(connection);
    if (url === undefined || url === "") throw secretMissing(connection);
    await clearDatasets(dependencies.ledger, cycle);
    const applicationName = `modelfleet ${cycle.fleet} ${cycle.cycle}`;
    return inWarehouse(
      { connection, url, applicationName, signal: cancellationSignal() },
      (warehouse) => exportFrom(warehouse, cycle, dependencies),
    );
  },
});
export type DatasetActivities = ReturnType<typeof createDatasetActivities>;

async function exportFrom(
  warehouse: Warehouse,
  cycle: Cycle,
  dependencies: DatasetDependencies,
): Promise<ExportedDataset> {
  const query = bindWindow(cycle.spec.source.query, cycle.window);
  const columns = datasetColumns(await describeQuery(warehouse, query), cycle.spec.source);
  refuseUnknownSegments(columns, cycle.spec.gate);
  const chosen = await chosenCustomers(dependencies.ledger, cycle);
  const sql = copyQuery({
    query,
    columns,
    serverVersion: await serverVersion(warehouse),
    ...(chosen === null ? {} : { customers: chosen }),
  });

  const written = await streamRows(warehouse, sql, cycle, dependencies);
  if (written.customers === 0) throw noRows(cycle, written);
  if (chosen === null) await recordListedCustomers(warehouse, cycle, dependencies);
  if (written.rowsWithoutCustomer > 0)
    log.warn("rows without a customer are left out", { rows: written.rowsWithoutCustomer });

  const { rowsWithoutCustomer } = written;
  await writeColumns(columns, cycle, dependencies);
  await writeComparison(cycle.spec.gate, cycle, dependencies);
  await writeManifest(cycle, { ...dependencies, sql, columns, rowsWithoutCustomer });
  // Last: a cycle with rows has been exported completely.
  await dependencies.ledger.query(
    `update cycles set sql = $3, columns = $4, rows = $5, rows_without_customer = $6
      where fleet = $1 and cycle = $2`,
    [
      cycle.fleet,
      cycle.cycle,
      sql,
      JSON.stringify([{ name: columns.target, type: "number" }, ...columns.features]),
      written.rows,
      rowsWithoutCustomer,
    ],
  );
  return readExported(dependencies.ledger, cycle);
}

/** Of a cycle that drift has called for; null: all of them. */
const chosenCustomers = (ledger: pg.Pool, { fleet, cycle, cause }: Cycle) =>
  cause === "drift" ? customersToRetrain(ledger, { fleet, run: cycle }) : Promise.resolve(null);

/** The one COPY. When something goes wrong, no upload goes on behind our back. */
async function streamRows(
  warehouse: Warehouse,
  sql: string,
  cycle: Cycle,
  { ledger, s3, bucket }: DatasetDependencies,
): Promise<DatasetWriter> {
  const uploads = new UploadWindow(UPLOADS);
  const keep = await releasedKeys(ledger, cycle);
  const { minimumRows, split } = cycle.spec.source;
  const buffers = new BufferPool(UPLOADS.bytes);
  const writer = new DatasetWriter({
    ...cycle,
    s3,
    bucket,
    window: uploads,
    buffers,
    oneObject: cycle.spec.training.kind === "sharded",
    minimumRows,
    keep,
  });
  const splitter = new RowSplitter({ shares: split, sink: writer });
  const batch = new LedgerBatch(ledger, cycle);
  const pulse = setInterval(() => heartbeat(progressOf(writer)), 1000);
  try {
    for await (const chunk of warehouse.copy(sql)) {
      splitter.push(chunk);
      await writer.settle();
      await batch.add(checked(writer.takeFinished(), writer.customers));
    }
    splitter.end();
    writer.end();
    await writer.settle();
    await batch.add(checked(writer.takeFinished(), writer.customers));
    await batch.flush();
  } finally {
    clearInterval(pulse);
    await uploads.drain();
  }
  return writer;
}

const progressOf = ({ customers, rows }: DatasetWriter) => ({ customers, rows });

/** Stops at once when the customer column is no customer: an order's number, say. */
function checked<T extends { readonly customer: string }>(finished: T[], customers: number): T[] {
  if (customers > LIMITS.customersPerFleet)
    throw permanent(FAILURES.queryInvalid, {
      message: `source.customer tells more than ${LIMITS.customersPerFleet} customers apart`,
      hint: "name the column of those that each get a model of their own, or split the fleet",
    });
  const long = finished.find(({ customer }) => customer.length > LIMITS.customerIdLength);
  if (long === undefined) return finished;
  throw permanent(FAILURES.queryInvalid, {
    message:
      `a customer's id has ${long.customer.length} characters, at most ${LIMITS.customerIdLength} ` +
      `are possible: ${JSON.stringify(long.customer.slice(0, 60))} …`,
    hint: "choose a shorter column as source.customer",
  });
}

/** Customers that source.customers lists and the window has no rows of. */
async function recordListedCustomers(
  warehouse: Warehouse,
  cycle: Cycle,
  { ledger }: DatasetDependencies,
): Promise<void> {
  const { customers } = cycle.spec.source;
  if (customers === undefined) return;
  // The list may use the window, and need not.
  const bound = /:(floor|ceiling)\b/.test(customers)
    ? bindWindow(customers, cycle.window)
    : customers;
  const { rows } = await warehouse.query(bound);
  const listed = new Set(rows.map(([customer]) => customer));
  const named = [...listed].filter((customer) => typeof customer === "string");
  const keyed = named.map((customer) => ({ customer, customerKey: customerKey(customer) }));
  checked(keyed, keyed.length);
  await recordMissingCustomers(ledger, cycle, keyed);
}

async function readExported(ledger: pg.Pool, { fleet, cycle }: CycleRef): Promise<ExportedDataset> {
  const { rows } = await ledger.query<Record<keyof ExportedDataset, number>>(
    `select count(*)::int as customers, y.rows::float8 as rows,
            coalesce(sum(c.invalid_rows), 0)::float8 as "invalidRows",
            y.rows_without_customer::float8 as "rowsWithoutCustomer"
       from cycles y left join customers c using (fleet, cycle)
      where fleet = $1 and cycle = $2
      group by y.rows, y.rows_without_customer`,
    [fleet, cycle],
  );
  return rows[0] ?? { customers: 0, rows: 0, invalidRows: 0, rowsWithoutCustomer: 0 };
}

function noRows({ window }: Cycle, { rowsWithoutCustomer }: DatasetWriter) {
  const left = rowsWithoutCustomer > 0 ? ` (${rowsWithoutCustomer} have no customer)` : "";
  return permanent(FAILURES.noRows, {
    message: `source.query returns no rows from ${window.floor} to ${window.ceiling}${left}`,
    hint: "run the cycle for another time with --at, or look whether the warehouse has been loaded",
  });
}

const secretMissing = (name: string) =>
  permanent(FAILURES.specInvalid, {
    message: `the worker has no secret ${name}, which source.connection names`,
    hint: `set ${name} to a postgres:// URL in the worker's environment and restart it`,
  });
