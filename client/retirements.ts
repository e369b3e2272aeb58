/** Customers that were retired, and have not come back. */
import { askLedger } from "./ledger.js";
import type { Connections } from "./connections.js";

export interface Retired {
  readonly customer: string;
  readonly customerKey: string;
  /** The version that was taken out of service last. */
  readonly version: number;
  /** ISO time from which exports had no rows of it. */
  readonly absentSince: string;
  readonly retiredAt: string;
}

/** By customer; of one customer when it is named. */
export async function readRetired(
  connections: Connections,
  { fleet, customerKey }: { readonly fleet: string; readonly customerKey?: string },
): Promise<Retired[]> {
  const rows = await askLedger<
    Omit<Retired, "absentSince" | "retiredAt"> & { absentSince: Date; retiredAt: Date }
  >(
    connections,
    `select distinct on (t.customer_key) t.customer_key as "customerKey", t.version,
            t.absent_since as "absentSince", t.retired_at as "retiredAt",
            coalesce((select c.customer from customers c
                       where c.fleet = t.fleet and c.customer_key = t.customer_key
                       order by c.cycle desc limit 1), t.customer_key) as customer
       from retirements t
      where t.fleet = $1 and ($2::text is null or t.customer_key = $2)
        and not exists (select from releases r
                         where r.fleet = t.fleet and r.customer_key = t.customer_key
                           and (r.created_at > t.retired_at or r.state = 'serving'))
      order by t.customer_key, t.version desc`,
    [fleet, customerKey ?? null],
  );
  return rows.map((row) => ({
    ...row,
    absentSince: row.absentSince.toISOString(),
    retiredAt: row.retiredAt.toISOString(),
  }));
}
