/** The ledger's side of a cycle's budget: one job is admitted at a time, and a budget that was reached stays closed. */
import type pg from "pg";
import { FAILURES } from "../../fleet/errors.js";
import type { CycleRef } from "./cycles.js";

/** Until the end of the transaction. Returns why the cycle starts no further job; null while it does. */
export async function lockBudget(
  connection: pg.ClientBase,
  { fleet, cycle }: CycleRef,
): Promise<string | null> {
  const { rows } = await connection.query<{ over_budget: string | null }>(
    "select over_budget from cycles where fleet = $1 and cycle = $2 for update",
    [fleet, cycle],
  );
  return rows[0]?.over_budget ?? null;
}

/** Whether an earlier attempt or run admitted the job. */
export async function isKnown(connection: pg.ClientBase, jobName: string): Promise<boolean> {
  const { rowCount } = await connection.query("select from jobs where job_name = $1", [jobName]);
  return rowCount !== 0;
}

/** Whoever has no job yet will have none in this run of the cycle; opening it again gives everybody a new chance. */
export async function closeBudget(
  connection: pg.ClientBase,
  { fleet, cycle, customerKey }: CycleRef & { readonly customerKey: string },
  because: string,
): Promise<void> {
  await connection.query(
    `with closed as (
       update cycles set over_budget = coalesce(over_budget, $3) where fleet = $1 and cycle = $2)
     update customers set state = 'skipped', reason = $3, error_type = $4, updated_at = now()
      where fleet = $1 and cycle = $2
        -- Whoever asks may have had a job before, which SageMaker failed.
        and (state = 'planned' or customer_key = $5 and state = 'training')`,
    [fleet, cycle, because, FAILURES.budgetExceeded, customerKey],
  );
}
