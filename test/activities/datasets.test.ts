import { describe, expect, test } from "vitest";
import { createCycleActivities } from "../../activities/cycles.js";
import { createDatasetActivities } from "../../activities/datasets.js";
import { customerKey, s3Keys, CHANNELS } from "../../fleet/names.js";
import { aFleet, CYCLE, openCycle, WINDOW, type FleetOptions } from "./a-fleet.js";
import { activityEnvironment, readObject, run, useParts } from "./parts.js";

const parts = useParts(17700);

const activities = (secret: string | undefined = parts().warehouseUrl) =>
  createDatasetActivities({ ...parts(), secret: async () => secret });

async function exportFleet(options: FleetOptions) {
  const cycle = await openCycle(parts(), aFleet(options));
  return run(activities().exportDataset, cycle);
}

const failureOf = (options: FleetOptions) =>
  exportFleet(options).then(
    () => expect.unreachable("the export went through"),
    (error: unknown) => error,
  );

interface Row {
  customer: string;
  train_rows: string;
  validation_rows: string;
  test_rows: string;
  invalid_rows: string;
  data_hash: string | null;
  verification: string[] | null;
}

async function customersOf(fleet: string): Promise<Map<string, Row>> {
  const { rows } = await parts().ledger.query<Row>(
    "select * from customers where fleet = $1 and cycle = $2 order by customer",
    [fleet, CYCLE],
  );
  return new Map(rows.map((row) => [row.customer, row]));
}

/** Lines of all splits of a customer, by split. */
async function objectsOf({ fleet, customer }: { fleet: string; customer: string }) {
  const key = { fleet, cycle: CYCLE, customerKey: customerKey(customer) };
  const texts = await Promise.all(
    CHANNELS.map((channel) => readObject(parts(), s3Keys.rows({ ...key, channel }))),
  );
  return texts.map((text) => (text ?? "").split("\n").slice(0, -1));
}

/** A query over generated rows; the window is used, as it must be. */
const generated = (select: string): string =>
  `select * from (${select}) as rows where timestamptz '2013-03-01' >= :floor and timestamptz '2013-03-01' < :ceiling`;

const twoCustomers = generated(
  "select c as customer, n * 1.5 as target, n as size, 'red, \"hot\"' as colour, n % 2 = 0 as even" +
    " from unnest(array['beta', 'alpha']) c, generate_series(1, 100) n",
);

describe("exporting a cycle", () => {
  test("writes each customer's rows once, split, as CSV with the target first and booleans as numbers", async () => {
    const exported = await exportFleet({ name: "plain", source: { query: twoCustomers } });
    expect(exported).toEqual({
      customers: 2,
      rows: 200,
      invalidRows: 0,
      rowsWithoutCustomer: 0,
    });
    const lines = (await objectsOf({ fleet: "plain", customer: "alpha" })).flat();
    const expected = Array.from(
      { length: 100 },
      (_none, n) =>
        `${((n + 1) * 1.5).toFixed(1)},${n + 1},"red, ""hot""",${(n + 1) % 2 === 0 ? 1 : 0}`,
    );
    expect(lines.sort()).toEqual(expected.sort());
  });

  test("tells training what the gate compares, beside the columns", async () => {
    const gate = { metric: "mae", segments: [{ column: "colour", maximumDrop: 0.1 }] };
    await exportFleet({ name: "compared", source: { query: twoCustomers }, gate });
    const comparison = await readObject(parts(), s3Keys.comparison("compared", CYCLE));
    expect(JSON.parse(comparison ?? "")).toEqual({
      metric: "mae",
      confidence: 0.95,
      segments: ["colour"],
    });
  });

  test("notes per customer the rows of each split, a hash, and the first held-out rows without target", async () => {
    await exportFleet({ name: "noted", source: { query: twoCustomers } });
    const alpha = (await customersOf("noted")).get("alpha");
    const [train, validation, held] = await objectsOf({ fleet: "noted", customer: "alpha" });
    expect(Number(alpha?.train_rows)).toBe(train?.length);
    expect(Number(alpha?.validation_rows)).toBe(validation?.length);
    expect(Number(alpha?.test_rows)).toBe(held?.length);
    expect(alpha?.data_hash).toMatch(/^[0-9a-f]{64}$/);
    expect(alpha?.verification).toEqual(
      held?.slice(0, 3).map((line) => line.slice(line.indexOf(",") + 1)),
    );
  });

  test("describes the features for training and the whole lineage for people", async () => {
    await exportFleet({ name: "described", source: { query: twoCustomers } });
    const columns = await readObject(parts(), s3Keys.columns("described", CYCLE));
    expect(JSON.parse(columns ?? "")).toEqual({
      target: "target",
      columns: [
        { name: "size", type: "number" },
        { name: "colour", type: "category" },
        { name: "even", type: "number" },
      ],
    });
    const manifest = await readObject(parts(), s3Keys.manifest("described", CYCLE));
    const { rows } = await parts().ledger.query<{ sql: string }>(
      "select sql from cycles where fleet = 'described'",
    );
    expect(JSON.parse(manifest ?? "")).toMatchObject({
      fleet: "described",
      cycle: CYCLE,
      window: WINDOW,
      sql: rows[0]?.sql,
      sourceHash: "a".repeat(64),
      customers: [
        { customer: "alpha", rows: { train: expect.any(Number) as number }, invalidRows: 0 },
        { customer: "beta" },
      ],
    });
  });

  test("gives the same bytes for the same rows, whatever order the warehouse has them in", async () => {
    const forward = generated(
      "select 'a' as customer, n::float8 as target, n as x from generate_series(1, 500) n order by n",
    );
    const backward = forward.replace("order by n", "order by n desc");
    await exportFleet({ name: "forward", source: { query: forward } });
    await exportFleet({ name: "backward", source: { query: backward } });
    const [one, other] = [await customersOf("forward"), await customersOf("backward")];
    expect(one.get("a")?.data_hash).toBe(other.get("a")?.data_hash);
    expect(await objectsOf({ fleet: "forward", customer: "a" })).toEqual(
      await objectsOf({ fleet: "backward", customer: "a" }),
    );
  });

  test("splits by time: the oldest rows train, the newest test, and the time is no feature", async () => {
    const query = generated(
      "select 'a' as customer, n::float8 as target, n as x, timestamptz '2013-01-01' + n * interval '1 day' as at from generate_series(1, 100) n",
    );
    const split = { by: "time", column: "at", validation: 0.3, test: 0.1 };
    await exportFleet({ name: "by-time", source: { query, split } });
    const [train, validation, held] = (await objectsOf({ fleet: "by-time", customer: "a" })).map(
      (lines) => lines.map((line) => Number(line.split(",")[0])),
    );
    expect(train).toEqual(Array.from({ length: 60 }, (_none, n) => n + 1));
    expect(validation).toEqual(Array.from({ length: 30 }, (_none, n) => n + 61));
    expect(held).toEqual(Array.from({ length: 10 }, (_none, n) => n + 91));
  });

  test("sends a customer that is larger than one part in several, and loses no row", async () => {
    const query = generated(
      "select 'large' as customer, n::float8 as target, repeat(md5(n::text), 8) as text from generate_series(1, 60000) n",
    );
    await exportFleet({ name: "large", source: { query } });
    const row = (await customersOf("large")).get("large");
    const lines = await objectsOf({ fleet: "large", customer: "large" });
    expect(lines.map((split) => split.length)).toEqual(
      [row?.train_rows, row?.validation_rows, row?.test_rows].map(Number),
    );
    const targets = lines.flat().map((line) => Number(line.split(",")[0]));
    expect(new Set(targets).size).toBe(60000);
  });
});

describe("customers with any name", () => {
  const hostile = [
    "../../etc",
    "a b/c?*",
    "🚀",
    "x".repeat(256),
    "'; drop table sales; --",
    "tab\there",
    "line\nbreak",
    "back\\slash",
    'quo"te',
    "comma,comma",
    "",
    "ALPHA",
    "alpha",
    "\\N",
    "NULL",
  ];

  test("are all exported, all apart, and nothing leaves the fleet's folder", async () => {
    await parts().warehouse.query("create table hostile (id text)");
    await parts().warehouse.query("insert into hostile select unnest($1::text[])", [hostile]);
    const query = generated(
      "select id as customer, n::float8 as target, length(id) as size from hostile, generate_series(1, 20) n",
    );
    const exported = await exportFleet({ name: "hostile", source: { query } });
    expect(exported).toMatchObject({ customers: hostile.length, rows: 20 * hostile.length });
    const customers = await customersOf("hostile");
    expect([...customers.keys()].sort()).toEqual([...hostile].sort());
    for (const customer of hostile) {
      const lines = (await objectsOf({ fleet: "hostile", customer })).flat();
      expect(lines).toHaveLength(20);
      expect(new Set(lines.map((line) => line.split(",")[1]))).toEqual(
        new Set([String([...customer].length)]),
      );
    }
  });

  test("are refused when an id is longer than 1024 characters, with the customer shown", async () => {
    const query = generated("select repeat('long', 300) as customer, 1.0 as target, 2 as x");
    await expect(failureOf({ name: "too-long", source: { query } })).resolves.toMatchObject({
      type: "QueryInvalid",
      message: expect.stringContaining('"longlong') as string,
      nonRetryable: true,
    });
  });
});

describe("rows that cannot be used", () => {
  test("with a NULL, NaN or infinite target are counted for their customer and not exported", async () => {
    const query = generated(
      "select 'a' as customer, case n when 1 then null when 2 then 'NaN' when 3 then 'Infinity' when 4 then '-Infinity' else n::float8 end as target, n as x from generate_series(1, 50) n",
    );
    const exported = await exportFleet({ name: "invalid", source: { query } });
    expect(exported).toMatchObject({ rows: 46, invalidRows: 4 });
    const lines = (await objectsOf({ fleet: "invalid", customer: "a" })).flat();
    expect(lines).toHaveLength(46);
    const plan = await planOf("invalid");
    expect(plan).toMatchObject({ customers: 1, train: 0, failed: 1 });
    const { rows } = await parts().ledger.query(
      "select state, error_type, reason from customers where fleet = 'invalid'",
    );
    expect(rows).toEqual([
      {
        state: "failed",
        error_type: "DataInvalid",
        reason: expect.stringContaining("4 of 50 rows") as string,
      },
    ]);
  });

  test("do not move the others between splits by time", async () => {
    const query = generated(
      "select 'a' as customer, case when n <= 100 then n else null end::float8 as target, n as at, 1 as x from generate_series(1, 200) n",
    );
    const split = { by: "time", column: "at", validation: 0.3, test: 0.1 };
    await exportFleet({ name: "invalid-time", source: { query, split } });
    const lines = await objectsOf({ fleet: "invalid-time", customer: "a" });
    expect(lines.map((rows) => rows.length)).toEqual([60, 30, 10]);
  });

  test("without a customer are counted and told", async () => {
    const query = generated(
      "select case when n > 5 then 'a' end as customer, n::float8 as target, n as x from generate_series(1, 50) n",
    );
    const exported = await exportFleet({ name: "nobody", source: { query } });
    expect(exported).toMatchObject({ customers: 1, rows: 45, rowsWithoutCustomer: 5 });
  });
});

describe("customers that are not in the window", () => {
  test("are told when source.customers lists them", async () => {
    const customers =
      "select * from (values ('alpha', 1), ('gamma', 2), ('gamma', 3)) as v (c, n);";
    await exportFleet({ name: "listed", source: { query: twoCustomers, customers } });
    expect([...(await customersOf("listed")).keys()]).toEqual(["alpha", "beta", "gamma"]);
    await expect(planOf("listed")).resolves.toMatchObject({ customers: 3, train: 2, skipped: 1 });
  });
});

describe("a query that cannot be exported", () => {
  test.each([
    ["an unknown customer", { customer: "custmer" }, 'has no column "custmer"', '"customer"'],
    ["an unknown target", { target: "trget" }, 'has no column "trget"', '"target"'],
    [
      "an unknown split column",
      { split: { by: "time", column: "sizes", validation: 0.3, test: 0.1 } },
      'has no column "sizes"',
      '"size"',
    ],
    ["a target that is no number", { target: "colour" }, '"colour" is text', "double precision"],
  ])("names %s, and what would be right", async (_what, source, message, hint) => {
    const failure = await failureOf({ name: "wrong", source: { query: twoCustomers, ...source } });
    expect(failure).toMatchObject({
      type: "QueryInvalid",
      nonRetryable: true,
      message: expect.stringContaining(message) as string,
      details: [{ hint: expect.stringContaining(hint) as string }],
    });
  });

  test("names a segment that is no feature", async () => {
    const gate = { segments: [{ column: "color", maximumDrop: 0.1 }] };
    await expect(
      failureOf({ name: "segments", source: { query: twoCustomers }, gate }),
    ).resolves.toMatchObject({
      type: "QueryInvalid",
      nonRetryable: true,
      message: expect.stringContaining('gate.segments names "color"') as string,
      details: [{ hint: expect.stringContaining('"colour"') as string }],
    });
  });

  test("names a feature of a type that no model can use", async () => {
    const query = generated("select 'a' as customer, 1.5 as target, now() as at");
    await expect(failureOf({ name: "typed", source: { query } })).resolves.toMatchObject({
      type: "QueryInvalid",
      message: expect.stringContaining('"at" is timestamp with time zone') as string,
      details: [{ hint: expect.stringContaining("extract(epoch from") as string }],
    });
  });

  test("shows the line that Postgres points at", async () => {
    const query =
      "select customer,\n  trget as target\n from sales where at >= :floor and at < :ceiling";
    await parts().warehouse.query(
      "create table if not exists sales (customer text, target float8, at timestamptz)",
    );
    await expect(failureOf({ name: "typo", source: { query } })).resolves.toMatchObject({
      type: "QueryInvalid",
      message: expect.stringContaining("(line 2: trget as target)") as string,
    });
  });

  test("says which window it found no rows in", async () => {
    const query =
      "select 'a' as customer, 1.5 as target, 2 as x where false and now() between :floor and :ceiling";
    await expect(failureOf({ name: "empty", source: { query } })).resolves.toMatchObject({
      type: "NoRows",
      message: expect.stringContaining(`${WINDOW.floor} to ${WINDOW.ceiling}`) as string,
    });
  });

  test("cannot write to the warehouse", async () => {
    const query =
      "select nextval('counter') as target, 'a' as customer, 1 as x where now() >= :floor or now() < :ceiling";
    await parts().warehouse.query("create sequence counter");
    await expect(failureOf({ name: "writes", source: { query } })).resolves.toMatchObject({
      type: "QueryInvalid",
      details: [{ hint: expect.stringContaining("plain SELECT") as string }],
    });
  });
});

describe("a warehouse out of reach", () => {
  test("is a failure that is retried, without the password in its words", async () => {
    const cycle = await openCycle(parts(), aFleet({ name: "unreachable" }));
    const url = "postgres://reader:sesame@127.0.0.1:1/warehouse";
    const failure: unknown = await run(activities(url).exportDataset, cycle).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ type: "WarehouseUnreachable", nonRetryable: false });
    expect(JSON.stringify(failure)).not.toContain("sesame");
  });

  test("with a wrong password is told at once, naming the secret", async () => {
    const cycle = await openCycle(parts(), aFleet({ name: "locked-out" }));
    const url = parts().warehouseUrl.replace(/:[^:@/]*@/, ":sesame@");
    await expect(run(activities(url).exportDataset, cycle)).rejects.toMatchObject({
      type: "AccessDenied",
      nonRetryable: true,
      details: [{ hint: expect.stringContaining("WAREHOUSE_URL") as string }],
    });
  });

  test("without a secret names the setting to make", async () => {
    const cycle = await openCycle(parts(), aFleet({ name: "no-secret" }));
    await expect(run(activities("").exportDataset, cycle)).rejects.toMatchObject({
      type: "SpecInvalid",
      message: expect.stringContaining("WAREHOUSE_URL") as string,
    });
  });
});

describe("an export that is repeated", () => {
  test("changes nothing when it was complete", async () => {
    const cycle = await openCycle(
      parts(),
      aFleet({ name: "twice", source: { query: twoCustomers } }),
    );
    const first = await run(activities().exportDataset, cycle);
    const before = await customersOf("twice");
    await expect(run(activities().exportDataset, cycle)).resolves.toEqual(first);
    expect(await customersOf("twice")).toEqual(before);
  });

  test("starts over when an attempt died half way", async () => {
    const spec = aFleet({ name: "half", source: { query: twoCustomers } });
    const cycle = await openCycle(parts(), spec);
    await parts().ledger.query(
      "insert into customers (fleet, cycle, customer_key, customer, state, train_rows) values ('half', $1, 'alpha', 'alpha', 'exported', 7), ('half', $1, 'gone', 'gone', 'exported', 7)",
      [CYCLE],
    );
    await run(activities().exportDataset, cycle);
    const customers = await customersOf("half");
    expect([...customers.keys()]).toEqual(["alpha", "beta"]);
    expect(Number(customers.get("alpha")?.train_rows)).toBeGreaterThan(7);
  });

  test("leaves alone a customer whose data has made a release in this cycle", async () => {
    const spec = aFleet({ name: "released", source: { query: twoCustomers } });
    const cycle = await openCycle(parts(), spec);
    await run(activities().exportDataset, cycle);
    await parts().ledger.query(
      `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name, artifact_uri,
                             state, workflow_id) values ('released', 'alpha', 1, $1, 'arn', 'job', 's3://b/k', 'pending', 'w')`,
      [CYCLE],
    );
    const before = (await customersOf("released")).get("alpha");
    const other = twoCustomers.replace("n * 1.5", "n * 2.5");
    await openCycle(parts(), aFleet({ name: "released", source: { query: other } }));
    await run(activities().exportDataset, cycle);
    const after = await customersOf("released");
    expect(after.get("alpha")).toEqual(before);
    expect(after.get("beta")?.data_hash).not.toBe(before?.data_hash);
    await expect(planOf("released")).resolves.toMatchObject({ customers: 2, train: 1 });
  });

  test("stops at once when it is cancelled, also in the warehouse", async () => {
    const query = generated(
      "select 'a' as customer, n::float8 as target, n as x, pg_sleep(0.01)::text as z from generate_series(1, 100000) n",
    );
    const cycle = await openCycle(parts(), aFleet({ name: "cancelled", source: { query } }));
    const environment = activityEnvironment();
    const exported = environment.run(activities().exportDataset, cycle);
    const isExporting = async () => {
      const { rows } = await parts().warehouse.query(
        "select from pg_stat_activity where application_name like 'modelfleet cancelled%' and query like 'copy%'",
      );
      return rows.length > 0;
    };
    await expect.poll(isExporting).toBe(true);
    environment.cancel();
    await expect(exported).rejects.toThrow(/cancel/i);
    await expect.poll(isExporting).toBe(false);
  });
});

const planOf = (fleet: string) =>
  run(createCycleActivities(parts()).planCycle, {
    fleet,
    cycle: CYCLE,
    shardSize: 250,
    force: false,
  });
