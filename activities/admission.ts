/** Admits a job to the account's quota, and to its cycle's budget where the fleet declares one. */
import { log } from "@temporalio/activity";
import type pg from "pg";
import { budgetRefusal } from "../fleet/cost-budget.js";
import { FAILURES } from "../fleet/errors.js";
import { instancesOf } from "../fleet/instances.js";
import { priceOf } from "../fleet/prices.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { permanent } from "./application-failure.js";
import { cycleSpending, expectedSeconds } from "./ledger/costs.js";
import { admitJob, type Admission, type NewJob } from "./ledger/jobs.js";
import { closeBudget, isKnown, lockBudget } from "./ledger/budgets.js";
import { inTransaction } from "./ledger/transaction.js";

/** What of the spec a budget is kept by. */
export type Budgeted = Pick<FleetSpec, "budget" | "prices">;

/**
 * Throws BudgetExceeded, not retryable, when the job would take the cycle past its budget. From then on the cycle starts
 * no other job, whatever those that run leave over: its customers who have not begun are skipped, with the reason. A
 * job that exists already is what it is.
 */
export async function admit(
  ledger: pg.Pool,
  job: NewJob,
  { quota, spec: { budget, prices } }: { readonly quota: number; readonly spec: Budgeted },
): Promise<Admission> {
  if (budget === undefined) return admitJob(ledger, job, quota);
  const admitted = await inTransaction(ledger, async (connection) => {
    // One at a time: two that ask at once must not both find room for one.
    const closed = await lockBudget(connection, job);
    // Admitted before, it may exist in SageMaker, whatever the ledger knows of that.
    if (await isKnown(connection, job.jobName))
      return { admission: await admitJob(connection, job, quota) };
    if (closed !== null) {
      await closeBudget(connection, job, closed);
      return { refused: closed };
    }
    const cost = await expectedCost(connection, job, prices);
    const spending = await cycleSpending(connection, job);
    const refused = budgetRefusal(budget, { ...spending, nextUsd: cost.expectedUsd });
    if (refused === null)
      return { admission: await admitJob(connection, { ...job, ...cost }, quota) };
    await closeBudget(connection, job, refused);
    return { refused };
  });
  if (admitted.admission !== undefined) return admitted.admission;
  const { fleet, cycle, customerKey } = job;
  log.warn("job not started: over budget", { fleet, cycle, customerKey });
  throw permanent(FAILURES.budgetExceeded, {
    message: admitted.refused,
    hint: "raise budget.perCycleUsd in the fleet file and run the cycle again: what is done is not done twice",
  });
}

interface ExpectedCost {
  readonly expectedUsd: number;
  /** Of all instances that the job runs at a time. */
  readonly usdPerHour: number;
}

/** A type without a price counts as nothing: opening the cycle refuses a budget over those that a spec names. */
async function expectedCost(
  connection: pg.ClientBase,
  job: NewJob,
  prices: FleetSpec["prices"],
): Promise<ExpectedCost> {
  const used = instancesOf(job.kind, job.request);
  const price = used === null ? null : priceOf(used.instanceType, { region: job.region, prices });
  if (used === null || price === null) return { expectedUsd: 0, usdPerHour: 0 };
  const { seconds } = await expectedSeconds(connection, job);
  const { usdPerHour } = price;
  const { instances } = used;
  return {
    expectedUsd: (seconds / 3600) * usdPerHour * instances * (job.trainingJobs ?? 1),
    usdPerHour: usdPerHour * Math.max(instances, job.slots),
  };
}
