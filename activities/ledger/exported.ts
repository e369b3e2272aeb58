/** What a cycle's export, or the preparation after it, left for its customers. */
import type pg from "pg";
import type { Channel } from "../../fleet/names.js";
import type { CycleRef } from "./cycles.js";

/** sha256 over the hashes of every customer's rows, hex: another export is other work. */
export async function exportedHash(ledger: pg.Pool, { fleet, cycle }: CycleRef): Promise<string> {
  const { rows } = await ledger.query<{ hash: string }>(
    `select encode(sha256(convert_to(coalesce(string_agg(
              customer_key || ' ' || coalesce(data_hash, '-'), E'\\n' order by customer_key collate "C"), ''),
              'UTF8')), 'hex') as hash
       from customers where fleet = $1 and cycle = $2`,
    [fleet, cycle],
  );
  return rows[0]?.hash ?? "";
}

/** Customers whose rows lie in S3, and who are not released in this cycle already; a page after `after`. */
export async function exportedCustomers(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  o: { readonly minimumRows: number; readonly after: string; readonly limit: number },
): Promise<string[]> {
  const { rows } = await ledger.query<{ customer_key: string }>(
    `select customer_key from customers c
      where fleet = $1 and cycle = $2 and customer_key > $3
        and train_rows + validation_rows + test_rows >= $4
        and not exists (select from releases r where r.fleet = c.fleet and r.cycle = c.cycle
                           and r.customer_key = c.customer_key)
      order by customer_key limit $5`,
    [fleet, cycle, o.after, o.minimumRows, o.limit],
  );
  return rows.map((row) => row.customer_key);
}

export interface PreparedDataset {
  readonly customerKey: string;
  readonly rows: Readonly<Record<Channel, number>>;
  readonly dataHash: string | null;
  readonly verification: readonly string[];
}

export async function recordPrepared(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  prepared: readonly PreparedDataset[],
): Promise<void> {
  await ledger.query(
    `update customers c
        set train_rows = p.train, validation_rows = p.validation, test_rows = p.test, data_hash = p.hash,
            verification = p.verification::jsonb, updated_at = now()
       from unnest($3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[])
         as p (key, train, validation, test, hash, verification)
      where c.fleet = $1 and c.cycle = $2 and c.customer_key = p.key`,
    [
      fleet,
      cycle,
      prepared.map(({ customerKey }) => customerKey),
      prepared.map(({ rows }) => rows.train),
      prepared.map(({ rows }) => rows.validation),
      prepared.map(({ rows }) => rows.test),
      prepared.map(({ dataHash }) => dataHash),
      prepared.map(({ verification }) => JSON.stringify(verification)),
    ],
  );
}
