/** Records that one customer failed, and why, so that the rest of the fleet goes on. */
import type pg from "pg";
import { LIMITS } from "../fleet/limits.js";
import { withoutSecrets } from "./application-failure.js";
import type { CycleRef } from "./ledger/cycles.js";

export interface FailureDependencies {
  readonly ledger: pg.Pool;
}

export interface RecordFailureInput extends CycleRef {
  readonly customerKey: string;
  /** Stable type, see docs/reference/errors.md. */
  readonly errorType: string;
  readonly reason: string;
}

export const createFailureActivities = ({ ledger }: FailureDependencies) => ({
  /** Returns the customer's own id: its workflow fails with "<customer>: <reason>". */
  async recordFailure(input: RecordFailureInput): Promise<{ customer: string }> {
    const { rows } = await ledger.query<{ customer: string }>(
      `update customers set state = 'failed', error_type = $4, reason = $5, updated_at = now()
        where fleet = $1 and cycle = $2 and customer_key = $3
        returning customer`,
      [
        input.fleet,
        input.cycle,
        input.customerKey,
        input.errorType,
        withoutSecrets(input.reason).slice(0, LIMITS.reasonLength),
      ],
    );
    return { customer: rows[0]?.customer ?? input.customerKey };
  },
});
export type FailureActivities = ReturnType<typeof createFailureActivities>;
