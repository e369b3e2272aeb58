import { DescribeTrainingJobCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { describe, expect, test } from "vitest";
import { reserve, slowDown, spendBudget } from "../../activities/api-budget.js";
import { openLedger } from "../../activities/ledger/pool.js";
import { callRate, LONGEST_CALL_WAIT } from "../../fleet/limits.js";
import { useParts } from "./parts.js";

const parts = useParts(17770);

/** Every test has an account of its own, and so a budget of its own. */
const budgetOf = (account: string) => ({ account, region: "r", ledger: parts().ledger });

const rowOf = async (account: string, operation: string) => {
  const { rows } = await parts().ledger.query<{
    calls: string;
    throttles: string;
    interval_ms: number;
  }>("select calls, throttles, interval_ms from api_budget where account = $1 and operation = $2", [
    account,
    operation,
  ]);
  return rows[0];
};

/** How far the places reach from the first call on: however slow the machine is, no less than they take. */
async function reserveMany(
  account: string,
  operation: string,
  calls: number,
  ledger = parts().ledger,
) {
  const { rows: first } = await ledger.query<{ now: Date }>("select clock_timestamp() as now");
  const waits: number[] = [];
  for (let call = 0; call < calls; call++)
    waits.push(await reserve({ ...budgetOf(account), ledger }, operation));
  const { rows } = await ledger.query<{ seconds: number }>(
    `select extract(epoch from next_at - $3)::float8 as seconds from api_budget
      where account = $1 and operation = $2`,
    [account, operation, first[0]?.now],
  );
  return { waits, secondsGiven: rows[0]?.seconds ?? 0 };
}

describe("the budget of API calls", () => {
  test("gives calls that come at once places one after the other", async () => {
    const { waits, secondsGiven } = await reserveMany("order", "CreateTrainingJob", 40);
    expect(waits[0]).toBe(0);
    // 40 places, from 10 a second on and each 3 % closer to the next, less the few that may come at once.
    expect(secondsGiven).toBeGreaterThan(1.8);
  });

  test("is one for all workers", async () => {
    const other = openLedger({ url: parts().ledgerUrl, maxConnections: 2, durable: false });
    try {
      const workers = [reserveMany("shared", "CreateTrainingJob", 20)].concat(
        reserveMany("shared", "CreateTrainingJob", 20, other),
      );
      const given = (await Promise.all(workers)).map(({ secondsGiven }) => secondsGiven);
      expect(await rowOf("shared", "CreateTrainingJob")).toMatchObject({ calls: "40" });
      expect(Math.max(...given)).toBeGreaterThan(1.8);
    } finally {
      await other.end();
    }
  });

  test("never lets lists go faster than users have seen AWS bear", async () => {
    await reserveMany("lists", "ListTrainingJobs", 20);
    const { ceiling } = callRate("ListTrainingJobs");
    expect((await rowOf("lists", "ListTrainingJobs"))?.interval_ms).toBe(1000 / ceiling);
  });

  test("refuses a place that is too far away, and keeps it for another", async () => {
    // At 2 a second the 40 places of the next 20 seconds are soon given.
    const full = reserveMany("full", "ListTrainingJobs", 2 * LONGEST_CALL_WAIT + 10);
    await expect(full).rejects.toMatchObject({ type: "Throttled", category: "BENIGN" });
    const before = await rowOf("full", "ListTrainingJobs");
    await expect(reserve(budgetOf("full"), "ListTrainingJobs")).rejects.toThrow();
    expect(await rowOf("full", "ListTrainingJobs")).toEqual(before);
  });

  test("halves the rate when AWS throttles, once for calls that were throttled together", async () => {
    await reserve(budgetOf("halved"), "CreateTrainingJob");
    const before = (await rowOf("halved", "CreateTrainingJob"))?.interval_ms ?? 0;
    await Promise.all([1, 2, 3].map(() => slowDown(budgetOf("halved"), "CreateTrainingJob")));
    expect(await rowOf("halved", "CreateTrainingJob")).toEqual({
      calls: "1",
      throttles: "3",
      interval_ms: before * 2,
    });
  });

  test("recovers slowly afterwards, and never falls below its floor", async () => {
    const { floor } = callRate("CreateTrainingJob");
    await reserve(budgetOf("floor"), "CreateTrainingJob");
    await parts().ledger.query(
      "update api_budget set interval_ms = 100000 where account = 'floor'",
    );
    await slowDown(budgetOf("floor"), "CreateTrainingJob");
    expect((await rowOf("floor", "CreateTrainingJob"))?.interval_ms).toBe(1000 / floor);
    await reserve(budgetOf("floor"), "CreateTrainingJob");
    const rate = 1000 / ((await rowOf("floor", "CreateTrainingJob"))?.interval_ms ?? 0);
    expect(rate).toBeCloseTo(floor + 0.1);
  });
});

describe("a client behind the budget", () => {
  test("pays for every attempt, also the SDK's own retries, and learns from being throttled", async () => {
    const faults = (body: object) =>
      fetch(`${parts().sagemakerUrl}/_local/faults`, {
        method: "PUT",
        body: JSON.stringify(body),
      });
    const { config } = parts().sagemaker;
    const client = new SageMakerClient({
      region: parts().region,
      endpoint: parts().sagemakerUrl,
      credentials: config.credentials,
      maxAttempts: 2,
    });
    spendBudget(client, budgetOf("client"));
    await faults({ throttle: { rate: 1 } });
    try {
      await expect(
        client.send(new DescribeTrainingJobCommand({ TrainingJobName: "none" })),
      ).rejects.toMatchObject({ name: "ThrottlingException" });
    } finally {
      await faults({});
      client.destroy();
    }
    const row = await rowOf("client", "DescribeTrainingJob");
    expect(row).toMatchObject({ calls: "2", throttles: "2" });
    expect(row?.interval_ms).toBeGreaterThan(1000 / callRate("DescribeTrainingJob").start);
  });
});
