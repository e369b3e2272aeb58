/** Writes to the ledger what a cycle exported for its customers, in few statements. */
import type pg from "pg";
import { FAILURES } from "../../fleet/errors.js";
import { permanent } from "../application-failure.js";
import type { CustomerDataset } from "../export/dataset-writer.js";
import type { CycleRef } from "./cycles.js";

/** Starts over: what an earlier attempt exported goes, except for customers with a release in this cycle. */
export async function clearDatasets(ledger: pg.Pool, { fleet, cycle }: CycleRef): Promise<void> {
  await ledger.query(
    `delete from customers c where fleet = $1 and cycle = $2 and not exists
       (select from releases r
         where r.fleet = c.fleet and r.cycle = c.cycle and r.customer_key = c.customer_key)`,
    [fleet, cycle],
  );
}

/** Keys of the customers whose dataset made a release: it is part of a lineage, and stays as it is. */
export async function releasedKeys(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<ReadonlySet<string>> {
  const { rows } = await ledger.query<{ customer_key: string }>(
    "select customer_key from releases where fleet = $1 and cycle = $2",
    [fleet, cycle],
  );
  return new Set(rows.map((row) => row.customer_key));
}

export async function recordDatasets(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  datasets: readonly CustomerDataset[],
): Promise<void> {
  if (datasets.length === 0) return;
  const { rowCount } = await ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, train_rows, validation_rows, test_rows,
                            invalid_rows, data_hash, verification, state)
     select $1, $2, key, customer, train, validation, test, invalid, hash, verification::jsonb, 'exported'
       from unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                   $9::text[], $10::text[])
         as exported (key, customer, train, validation, test, invalid, hash, verification)
     on conflict (fleet, cycle, customer_key) do nothing`,
    [
      fleet,
      cycle,
      datasets.map((dataset) => dataset.customerKey),
      datasets.map((dataset) => dataset.customer),
      datasets.map((dataset) => dataset.rows.train),
      datasets.map((dataset) => dataset.rows.validation),
      datasets.map((dataset) => dataset.rows.test),
      datasets.map((dataset) => dataset.invalidRows),
      datasets.map((dataset) => dataset.dataHash),
      datasets.map((dataset) => JSON.stringify(dataset.verification)),
    ],
  );
  if (rowCount !== datasets.length) await refuseCollision(ledger, { fleet, cycle }, datasets);
}

/** Customers without rows in the window, so that they are told and not forgotten. Returns how many. */
export async function recordMissingCustomers(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  customers: readonly { readonly customer: string; readonly customerKey: string }[],
): Promise<number> {
  const { rowCount } = await ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, state)
     select $1, $2, key, customer, 'exported' from unnest($3::text[], $4::text[]) as listed (key, customer)
     on conflict (fleet, cycle, customer_key) do nothing`,
    [fleet, cycle, customers.map((one) => one.customerKey), customers.map((one) => one.customer)],
  );
  return rowCount ?? 0;
}

/** Two customers with one key would write over each other: 48 bits of sha256 make it a theoretical case. */
async function refuseCollision(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  datasets: readonly CustomerDataset[],
): Promise<void> {
  const { rows } = await ledger.query<{ theirs: string; ours: string; key: string }>(
    `select c.customer as theirs, e.customer as ours, e.key
       from unnest($3::text[], $4::text[]) as e (key, customer)
       join customers c on c.fleet = $1 and c.cycle = $2 and c.customer_key = e.key
      where c.customer <> e.customer
      union all
     select min(customer), max(customer), key from unnest($3::text[], $4::text[]) as e (key, customer)
      group by key having count(*) > 1
      limit 1`,
    [
      fleet,
      cycle,
      datasets.map((dataset) => dataset.customerKey),
      datasets.map((dataset) => dataset.customer),
    ],
  );
  const [clash] = rows;
  if (clash === undefined) return; // The same customers, written by an attempt that was thought dead.
  throw permanent(FAILURES.queryInvalid, {
    message: `customers ${JSON.stringify(clash.theirs)} and ${JSON.stringify(clash.ours)} share the key ${clash.key}`,
    hint: "rename one of them in source.query",
  });
}
