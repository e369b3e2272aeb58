/** The ledger's side of sharing a cohort's cost: how long its job worked for each customer. */
import type pg from "pg";
import type { CycleRef } from "./cycles.js";

export interface FitSeconds {
  readonly customerKey: string;
  /** By the job's own word. */
  readonly seconds: number;
}

export async function recordFitSeconds(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  fits: readonly FitSeconds[],
): Promise<void> {
  if (fits.length === 0) return;
  await ledger.query(
    `update customers c set fit_seconds = f.seconds
       from unnest($3::text[], $4::float8[]) as f (key, seconds)
      where c.fleet = $1 and c.cycle = $2 and c.customer_key = f.key`,
    [fleet, cycle, fits.map(({ customerKey }) => customerKey), fits.map(({ seconds }) => seconds)],
  );
}
