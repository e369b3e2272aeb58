/** Spends one budget of AWS calls per account, region and operation, which all workers share and learn. */
import { setTimeout as delay } from "node:timers/promises";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { callRate, LONGEST_CALL_WAIT } from "../fleet/limits.js";
import { backPressure, jittered } from "./application-failure.js";

export interface ApiBudget {
  readonly account: string;
  readonly region: string;
  readonly ledger: pg.Pool;
}

/**
 * Puts the budget in front of every attempt of every call of the client, behind the SDK's own retries: a retry
 * that does not count would spend what others have been promised.
 */
export function spendBudget(client: SageMakerClient, budget: ApiBudget): void {
  client.middlewareStack.add(
    (next, context) => async (input) => {
      const operation = (context.commandName ?? "unknown").replace(/Command$/, "");
      await delay(await reserve(budget, operation));
      try {
        return await next(input);
      } catch (error) {
        if (error instanceof Error && error.name === "ThrottlingException")
          await slowDown(budget, operation);
        throw error;
      }
    },
    { name: "modelfleetApiBudget", step: "finalizeRequest", priority: "low" },
  );
}

/** Calls that may come at once after a pause; AWS's own buckets have some depth too. */
const BURST = 3;

/**
 * Takes the next place and returns how many milliseconds away it is (GCRA). Every place taken also makes the next
 * ones come a little faster: by 3 % until the service has throttled once, from then on by a tenth of a call a
 * second. One statement, so the row's lock is held for its commit only.
 */
export async function reserve(
  { account, region, ledger }: ApiBudget,
  operation: string,
): Promise<number> {
  const { start, ceiling } = callRate(operation);
  const { rows } = await ledger.query<{ wait_ms: number }>(
    `insert into api_budget as b (account, region, operation, interval_ms, next_at, calls)
     values ($1, $2, $3, $4, clock_timestamp() + $4 * interval '1 ms', 1)
     on conflict (account, region, operation) do update
       set next_at = greatest(b.next_at, clock_timestamp() - ${BURST} * b.interval_ms * interval '1 ms')
                     + b.interval_ms * interval '1 ms',
           interval_ms = greatest($5, case when b.throttled_at is null then b.interval_ms / 1.03
                                           else 1000 / (1000 / b.interval_ms + 0.1) end),
           calls = b.calls + 1
       where b.next_at < clock_timestamp() + $6 * interval '1 s'
     returning extract(epoch from b.next_at - clock_timestamp())::float8 * 1000 - b.interval_ms as wait_ms`,
    [account, region, operation, 1000 / start, 1000 / ceiling, LONGEST_CALL_WAIT],
  );
  const [place] = rows;
  if (place === undefined)
    throw backPressure(FAILURES.throttled, {
      message: `the budget of ${operation} calls in ${account}/${region} is spent for ${LONGEST_CALL_WAIT} s`,
      hint: "nothing to do: the activity is retried, and the rate grows while AWS does not throttle",
      retryInSeconds: jittered(LONGEST_CALL_WAIT),
    });
  return Math.max(0, place.wait_ms);
}

/**
 * AWS said that it was too fast: half the rate, and nobody calls for one interval. Calls that were on their way
 * together are throttled together, so within a second only the first of them counts.
 */
export async function slowDown(
  { account, region, ledger }: ApiBudget,
  operation: string,
): Promise<void> {
  await ledger.query(
    `update api_budget
        set throttles = throttles + 1,
            interval_ms = case when throttled_at > clock_timestamp() - interval '1 s' then interval_ms
                               else least($4, interval_ms * 2) end,
            next_at = greatest(next_at, clock_timestamp() + least($4, interval_ms) * interval '1 ms'),
            throttled_at = clock_timestamp()
      where account = $1 and region = $2 and operation = $3`,
    [account, region, operation, 1000 / callRate(operation).floor],
  );
}
