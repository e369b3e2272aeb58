/** Reads and moves the customers of a cycle in the ledger. */
import type pg from "pg";
import type { CycleReport } from "../../workflows/messages.js";
import type { CycleRef } from "./cycles.js";

/** Of a cycle's report: what became of its customers so far. */
export async function countCustomers(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<Omit<CycleReport, "fleet" | "cycle">> {
  const { rows } = await ledger.query<Omit<CycleReport, "fleet" | "cycle">>(
    `select count(*)::int as customers,
            count(*) filter (where state in ('pending', 'approved', 'serving', 'denied', 'rejected', 'withdrawn',
              'superseded', 'expired'))::int
              as registered,
            count(*) filter (where state = 'champion-kept')::int as "championKept",
            count(*) filter (where state = 'skipped')::int as skipped,
            count(*) filter (where state = 'failed')::int as failed
       from customers where fleet = $1 and cycle = $2`,
    [fleet, cycle],
  );
  return rows[0] ?? { customers: 0, registered: 0, championKept: 0, skipped: 0, failed: 0 };
}
