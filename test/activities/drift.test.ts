/** Looking for drift: what Postgres computes, what the endpoint is asked, who is chosen, and that it can be repeated. */
import { DescribeTrainingJobCommand } from "@aws-sdk/client-sagemaker";
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { ApplicationFailure } from "@temporalio/common";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCycleActivities } from "../../activities/cycles.js";
import { createDatasetActivities } from "../../activities/datasets.js";
import { createDriftActivities, createDriftRunActivities } from "../../activities/drift.js";
import { driftSchema, type DriftInput } from "../../fleet/drift.schema.js";
import { readModelColumns, recordPreprocessor } from "../../activities/ledger/preprocessors.js";
import { preprocessorHash, type PipelineTraining } from "../../activities/preprocessor-request.js";
import { createPreprocessorActivities } from "../../activities/preprocessor.js";
import { createShardedTrainingActivities } from "../../activities/sharded-training.js";
import type { StageAccess } from "../../activities/stage-access.js";
import { customerKey, specHash } from "../../fleet/names.js";
import { daily } from "../../fleet/schedule.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { aFleet, openCycle, WINDOW, type FleetOptions } from "./a-fleet.js";
import { readObject, run, useParts } from "./parts.js";

const parts = useParts(19800);

const HOSTILE = `o'brien, "x" \\ 1`;

/** By customer, what its new rows are made of; in the champion's window all are alike. */
const CHANGES: Readonly<Record<string, string>> = {
  calm: "random_normal(), random_normal(), 'red', false",
  shifted: "random_normal(), random_normal(1.5), 'red', false",
  scaled: "random_normal(), random_normal(0, 3), 'red', false",
  labels: "random_normal(2), random_normal(), 'red', false",
  flags: "random_normal(), random_normal(), 'red', random() < 0.3",
  colours: "random_normal(), random_normal(), (array['blue','green','red'])[1 + n % 3], false",
  nulls: "random_normal(), case when n % 2 = 0 then random_normal() end, 'red', false",
  [HOSTILE]: "random_normal(), random_normal(2), 'red', false",
};
const QUERY =
  "select customer, target, size, colour, flag from drift_rows where at >= :floor and at < :ceiling";

beforeAll(async () => {
  const { warehouse } = parts();
  const client = await warehouse.connect();
  try {
    await client.query("select setseed(0.5)");
    await client.query(
      "create table drift_rows (customer text, at timestamptz, target float8, size float4, colour text, flag boolean)",
    );
    const insert = (customer: string, day: string, columns: string, rows: number) =>
      client.query(
        `insert into drift_rows select $1, timestamptz '${day}', ${columns} from generate_series(1, ${rows}) n`,
        [customer],
      );
    for (const [customer, columns] of Object.entries(CHANGES)) {
      await insert(
        customer,
        "2013-02-01",
        "random_normal(), random_normal(), 'red', random() < 0.01",
        2000,
      );
      await insert(customer, "2013-08-01", columns, 600);
    }
    await insert("few", "2013-02-01", "0, 0, 'red', false", 2000);
    await insert("few", "2013-08-01", "9, 9, 'blue', true", 20);
    await insert("gone", "2013-02-01", "0, 0, 'red', false", 2000);
    await insert("new", "2013-02-01", "0, 0, 'red', false", 2000);
    await insert("newer", "2013-08-01", "9, 9, 'red', false", 2000);
  } finally {
    client.release();
  }
});
afterAll(() => parts().warehouse.query("drop table if exists drift_rows"));

const AT = "2013-10-01T00:00:00.000Z";
const CUSTOMERS = [...Object.keys(CHANGES), "few", "gone", "newer"];

function spec(
  name: string,
  drift: Partial<DriftInput> = {},
  query = QUERY,
  more: Partial<FleetOptions> = {},
): FleetSpec {
  const parsed = driftSchema.parse({ schedule: daily({ at: "05:00" }), ...drift });
  return { ...aFleet({ name, source: { query }, ...more }), drift: parsed };
}

/** Every customer has a champion of the cycle of July, with an error of 1, in the first stage unless told. */
async function champions(
  fleet: FleetSpec,
  customers: readonly string[] = CUSTOMERS,
  stages: (customer: string) => readonly string[] = () => [fleet.stages[0].name],
) {
  const { ledger, account, region } = parts();
  const { cycle } = await openCycle(parts(), fleet);
  await ledger.query("update cycles set state = 'completed' where fleet = $1", [fleet.name]);
  for (const customer of customers) {
    const key = customerKey(customer);
    await ledger.query(
      "insert into customers (fleet, cycle, customer_key, customer, state) values ($1, $2, $3, $4, 'serving')",
      [fleet.name, cycle, key, customer],
    );
    await ledger.query(
      `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, baseline_metrics,
                                artifact_uri, predictions, decision, because)
       values ($1, $2, $3, 'job', '{"rmse": 1, "mae": 0.8}', '{}', 's3://b/k', '[]', 'approve', 'first')`,
      [fleet.name, cycle, key],
    );
    await ledger.query(
      `insert into releases (fleet, cycle, customer_key, version, model_package_arn, training_job_name,
                             artifact_uri, state, decided_by, workflow_id, cohort)
       values ($1, $2, $3, 1, $4, 'job', 's3://b/k', 'serving', 'ada', 'release', $5)`,
      [
        fleet.name,
        cycle,
        key,
        `arn:aws:sagemaker:${region}:${account}:model-package/${fleet.name}--${key}/1`,
        fleet.training.kind === "sharded",
      ],
    );
    await ledger.query(
      `insert into publications (fleet, stage, customer_key, version, target_model, state)
       select $1, stage, $2, 1, $2 || '/v000001.tar.gz', 'serving' from unnest($3::text[]) as s (stage)`,
      [fleet.name, key, stages(customer)],
    );
  }
}

interface Asked {
  readonly stage: string;
  readonly endpoint: string;
  readonly model: string;
}
const asked: Asked[] = [];

/** A stage's clients, whose endpoint answers every row with 0: the mean of labels that have not moved. */
const stageAccess: StageAccess = async (stage) => {
  if (stage.name === "closed")
    throw ApplicationFailure.nonRetryable("the role of stage closed may not be assumed");
  const send = async ({
    input,
  }: {
    input: Record<"EndpointName" | "TargetModel" | "Body", string>;
  }) => {
    asked.push({ stage: stage.name, endpoint: input.EndpointName, model: input.TargetModel });
    if (input.TargetModel.startsWith("scaled"))
      throw Object.assign(new Error("it broke"), {
        name: "ModelError",
        OriginalMessage: "it broke",
      });
    const answer = input.Body.split("\n")
      .map(() => "0")
      .join("\n");
    return { Body: { transformToString: () => answer } };
  };
  const clients = await parts().stageAccess(stage);
  return { ...clients, runtime: { send } as unknown as SageMakerRuntimeClient };
};

const activities = (secret: string | undefined = parts().warehouseUrl) => ({
  ...createDriftActivities({ ...parts(), stageAccess, secret: () => Promise.resolve(secret) }),
  ...createDriftRunActivities(parts()),
});

async function look(fleet: FleetSpec, at = AT, dryRun = false) {
  const ref = { fleet: fleet.name, run: `${at.slice(0, 10)}-drift${dryRun ? "-look" : ""}` };
  const { openDriftRun, compareWindows, scoreChampions, decideDrift } = activities();
  await run(openDriftRun, { ...ref, spec: fleet, at, workflowId: "watch", dryRun });
  await run(compareWindows, ref);
  await run(scoreChampions, ref);
  const counts = await run(decideDrift, ref);
  return { ref, counts };
}

interface Row {
  readonly customer: string;
  readonly drifted: boolean;
  readonly excess: number | null;
  readonly action: string;
  readonly because: string;
  readonly left_because: string | null;
  readonly reference_rows: string;
  readonly newest_rows: string;
}
async function found({
  fleet,
  run: id,
}: {
  fleet: string;
  run: string;
}): Promise<Map<string, Row>> {
  const { rows } = await parts().ledger.query<Row>(
    "select * from drift_customers where fleet = $1 and run = $2",
    [fleet, id],
  );
  return new Map(rows.map((row) => [row.customer, row]));
}
const driftedOf = async (ref: { fleet: string; run: string }) =>
  [...(await found(ref)).values()]
    .filter(({ drifted }) => drifted)
    .map(({ customer }) => customer)
    .sort();

describe("comparing the champion's window with the rows since", () => {
  test("tells who has moved and by what, in one pass for all customers", async () => {
    const fleet = spec("moved", { ks: 0.2 });
    await champions(fleet);
    const { ref, counts } = await look(fleet);
    expect(await driftedOf(ref)).toEqual(
      ["shifted", "scaled", "labels", "flags", "colours", "nulls", HOSTILE].sort(),
    );
    expect(counts).toMatchObject({ customers: 11, compared: 8, drifted: 7, retrain: 7, scored: 0 });
    const rows = await found(ref);
    expect(rows.get("shifted")).toMatchObject({
      reference_rows: "2000",
      newest_rows: "600",
      action: "retrain",
    });
    expect(rows.get("shifted")?.because).toMatch(
      /^PSI of size [\d.]+, at most 0\.25 is tolerated; KS of size/,
    );
    expect(rows.get("labels")?.because).toContain("PSI of target");
    expect(rows.get("flags")?.because).toContain("PSI of flag");
    expect(rows.get("colours")?.because).toContain("PSI of colour");
    expect(rows.get("nulls")?.because).toContain("PSI of size");
    expect(rows.get("calm")).toMatchObject({
      action: "none",
      because: "nothing has moved past its threshold",
    });
    expect(rows.get("few")?.because).toBe("20 rows in the new window, drift.minimumRows asks 200");
    expect(rows.get("gone")?.because).toBe("0 rows in the new window, drift.minimumRows asks 200");
    expect(rows.get("newer")?.because).toBe("no rows in its champion's window");
  });

  test("the figures are what a plain computation gives", async () => {
    const fleet = spec("figures");
    await champions(fleet, ["scaled"]);
    const { ref } = await look(fleet);
    const { rows: figures } = await parts().ledger.query<{ value: number }>(
      "select value from drift_figures where fleet = $1 and run = $2 and column_name = 'size' and measure = 'psi'",
      [ref.fleet, ref.run],
    );
    // Deciles by ntile, cells by comparison, no smoothing: another way to the same figure.
    const { rows: plain } = await parts().warehouse.query<{ psi: number }>(
      `with r as (select size from drift_rows where customer = 'scaled' and at < '2013-07-01'),
            f as (select size from drift_rows where customer = 'scaled' and at >= '2013-07-01'),
            t as (select size, ntile(10) over (order by size) as bin from r),
            b as (select bin, case when bin = 1 then '-Infinity' else min(size) end as low from t group by bin),
            e as (select bin, low, coalesce(lead(low) over (order by bin), 'Infinity') as high from b),
            c as (select (select count(*) from r where size >= low and size < high) / 2000.0 as p,
                         (select count(*) from f where size >= low and size < high) / 600.0 as q from e)
       select sum((q - p) * ln(q / p))::float8 as psi from c where p > 0 and q > 0`,
    );
    expect(figures[0]?.value).toBeCloseTo(plain[0]?.psi ?? NaN, 1);
  });

  test("with a limit, the worst go first; the others are told why not, and nobody is chosen twice", async () => {
    const fleet = spec("limited", { maxRetrainings: 2, coolDown: "90d" });
    await champions(fleet);
    const { ref } = await look(fleet);
    const first = [...(await found(ref)).values()].filter(({ action }) => action === "retrain");
    expect(first).toHaveLength(2);
    const worst = [...(await found(ref)).values()].filter(({ drifted }) => drifted);
    const others = worst.filter(({ action }) => action === "left");
    expect(Math.min(...first.map(({ excess }) => excess ?? 0))).toBeGreaterThanOrEqual(
      Math.max(...others.map(({ excess }) => excess ?? 0)),
    );
    expect(others[0]?.left_because).toBe("drift.maxRetrainings is 2, and others are worse");

    const { ref: second } = await look(fleet, "2013-10-08T00:00:00.000Z");
    const rows = await found(second);
    for (const { customer } of first)
      expect(rows.get(customer)).toMatchObject({
        action: "left",
        left_because: "retrained for drift at 2013-10-01, cools down until 2013-12-30",
      });
    const again = [...rows.values()].filter(({ action }) => action === "retrain");
    expect(again).toHaveLength(2);
  });

  test("done twice, it comes to the same; a run that only looks cools nobody down", async () => {
    const fleet = spec("twice");
    await champions(fleet);
    await look(fleet, AT, true);
    const { ref } = await look(fleet);
    const before = await found(ref);
    expect([...before.values()].filter(({ action }) => action === "retrain")).toHaveLength(7);
    // The worker died before it could say that it had decided: the same choice again.
    await parts().ledger.query("update drift_runs set decided_at = null where fleet = $1", [
      fleet.name,
    ]);
    await run(activities().decideDrift, ref);
    expect(await found(ref)).toEqual(before);
    // Run again as a whole: what was decided stands.
    await look(fleet);
    expect(await found(ref)).toEqual(before);
  });

  test("a version that waits for a decision is left alone", async () => {
    const fleet = spec("waiting");
    await champions(fleet);
    await openCycle(parts(), fleet, "2013-08-01");
    await parts().ledger.query(
      `insert into releases (fleet, cycle, customer_key, version, model_package_arn, training_job_name,
                             artifact_uri, state, workflow_id)
       values ($1, '2013-08-01', 'shifted', 2, 'arn:waiting', 'job', 's3://b/k', 'pending', 'release')`,
      [fleet.name],
    );
    const { ref } = await look(fleet);
    expect((await found(ref)).get("shifted")).toMatchObject({
      action: "left",
      left_because: "version 2 waits for a decision or is being published",
    });
  });

  test("columns to ignore are not looked at, and the newest days can be asked for", async () => {
    const fleet = spec("ignoring", { ignore: ["size", "target", "flag"], window: { days: 90 } });
    await champions(fleet);
    const { ref } = await look(fleet);
    expect(await driftedOf(ref)).toEqual(["colours"]);
    const none = spec("no-news", { window: { days: 30 } });
    await champions(none);
    const { counts } = await look(none);
    expect(counts).toMatchObject({ customers: 11, compared: 0, drifted: 0 });
  });
});

describe("the champion's error on newly labelled rows", () => {
  test("is asked of the endpoint for a sample, and told beside the error at registration", async () => {
    const fleet = spec("erring", {
      psi: 9,
      error: { ratio: 1.5, sample: 100, customers: 100 },
    });
    await champions(fleet);
    const { ref, counts } = await look(fleet);
    expect(counts).toMatchObject({ scored: 7, drifted: 1, retrain: 1 });
    expect(await driftedOf(ref)).toEqual(["labels"]);
    const rows = await found(ref);
    expect(rows.get("labels")?.because).toMatch(
      /^rmse 2\.\d+, at most 1\.5 is tolerated \(1 at registration\)$/,
    );
    expect(rows.get("scaled")?.because).toContain(
      "its error is not known: it cannot be served: it broke",
    );
    expect(rows.get("calm")?.because).toBe("nothing has moved past its threshold");
  });

  test("of so many customers in a run, those first that were not asked for longest", async () => {
    const fleet = spec("budgeted", { error: { ratio: 1.5, sample: 50, customers: 3 } });
    await champions(fleet, ["calm", "colours", "flags", "labels", "shifted"]);
    asked.length = 0;
    await look(fleet);
    expect(asked).toHaveLength(3);
    await look(fleet, "2013-10-08T00:00:00.000Z");
    expect(new Set(asked.map(({ model }) => model)).size).toBe(5);
  });

  test("is asked in the last stage that serves the champion, by that stage's own clients", async () => {
    const error = { ratio: 1.5, sample: 50 };
    const elsewhere = (name: string, account: string) => ({
      ...{ name, account, role: `arn:aws:iam::${account}:role/modelfleet` },
      ...{ bucket: `models-${name}`, executionRole: `arn:aws:iam::${account}:role/sagemaker` },
    });
    const fleet = fleetSpecSchema.parse({
      ...spec("staged", { psi: 9, error }),
      stages: [
        { name: "sandbox", account: "111111111111" },
        elsewhere("prod", "333333333333"),
        elsewhere("closed", "444444444444"),
      ],
    });
    const serving: Readonly<Record<string, readonly string[]>> = {
      calm: ["prod", "sandbox"],
      labels: ["sandbox"],
      flags: ["sandbox", "prod", "closed"],
      shifted: [],
    };
    await champions(fleet, Object.keys(serving), (customer) => serving[customer] ?? []);
    asked.length = 0;
    const { ref, counts } = await look(fleet);
    expect([...asked].sort((a, b) => (a.stage < b.stage ? -1 : 1))).toEqual([
      { stage: "prod", endpoint: "staged-prod", model: "calm/v000001.tar.gz" },
      { stage: "sandbox", endpoint: "staged-sandbox", model: "labels/v000001.tar.gz" },
    ]);
    expect(counts).toMatchObject({ compared: 4, scored: 2, drifted: 1 });
    const rows = await found(ref);
    // A stage that cannot be reached is told, and holds up nobody.
    expect(rows.get("flags")?.because).toBe(
      "nothing has moved past its threshold; its error is not known: the role of stage closed may not be assumed",
    );
    expect(rows.get("shifted")?.because).toBe("nothing has moved past its threshold");
  });
});

describe("the cycle that drift calls for", () => {
  /** Opened, exported and planned for those that the look has chosen; with their names. */
  async function plannedCycle(fleet: FleetSpec) {
    await champions(fleet);
    const { ref } = await look(fleet);
    const chosen = [...(await found(ref)).values()].filter(({ action }) => action === "retrain");
    const cycles = createCycleActivities(parts());
    const cycle = { fleet: fleet.name, cycle: ref.run };
    await cycles.openCycle({
      spec: fleet,
      cycle: ref.run,
      window: { floor: WINDOW.floor, ceiling: AT },
      workflowId: "w",
      force: false,
      cause: "drift",
    });
    const datasets = createDatasetActivities({
      ...parts(),
      secret: () => Promise.resolve(parts().warehouseUrl),
    });
    expect(await run(datasets.exportDataset, cycle)).toMatchObject({ customers: 2, rows: 5200 });
    expect(await run(cycles.planCycle, { ...cycle, shardSize: 250, force: false })).toMatchObject({
      train: 2,
      skipped: 0,
    });
    return { cycle, chosen: chosen.map(({ customer }) => customer).sort() };
  }

  const image = "111111111111.dkr.ecr.us-east-1.amazonaws.com/modelfleet-noop:1";

  test("exports and plans the chosen customers only, marked with its cause", async () => {
    const fleet = spec("retrained", { maxRetrainings: 2 });
    const { cycle, chosen } = await plannedCycle(fleet);
    const { rows } = await parts().ledger.query<{ customer: string }>(
      "select customer from customers where fleet = $1 and cycle = $2 order by customer",
      [fleet.name, cycle.cycle],
    );
    expect(rows.map(({ customer }) => customer)).toEqual(chosen);
  });

  test("of a sharded fleet has one job, which reads the chosen and nobody else", async () => {
    const training = { kind: "sharded", image, instances: 2 };
    const fleet = spec("packed", { maxRetrainings: 2 }, QUERY, { training });
    const { cycle, chosen } = await plannedCycle(fleet);
    const sharded = createShardedTrainingActivities({ ...parts(), watchSeconds: 0.05 });
    const { trainingJobName } = await run(sharded.startShardedJob, { ...cycle, round: 0 });
    const job = await parts().sagemaker.send(
      new DescribeTrainingJobCommand({ TrainingJobName: trainingJobName }),
    );
    const [customers] = job.InputDataConfig ?? [];
    const manifest = customers?.DataSource?.S3DataSource?.S3Uri ?? "";
    const text = await readObject(parts(), manifest.replace(`s3://${parts().bucket}/`, ""));
    const [, ...paths] = JSON.parse(text ?? "") as [object, ...string[]];
    expect(paths.sort()).toEqual(chosen.map((customer) => `${customerKey(customer)}.csv`).sort());
  });

  test("of a pipeline fleet uses the preprocessor that all have, and fits none on so few", async () => {
    const sourceHash = "0".repeat(64);
    const fleet = spec("piped", { maxRetrainings: 2 }, QUERY, {
      training: {
        kind: "pipeline",
        source: "m",
        preprocessor: { source: "p", sourceHash },
        sourceHash,
      },
      endpoint: { kind: "pipeline" },
    });
    const { cycle } = await plannedCycle(fleet);
    const preprocessors = createPreprocessorActivities({ ...parts(), watchSeconds: 0.05 });
    const start = () => run(preprocessors.startPreprocessorJob, { ...cycle, round: 0 });
    await expect(start()).rejects.toMatchObject({
      type: "PreparationFailed",
      nonRetryable: true,
      message: expect.stringContaining("has changed since the last cycle of all") as unknown,
    });
    // As a cycle of all customers leaves it.
    const { ledger } = parts();
    await ledger.query("update cycles set cause = null where fleet = 'piped'");
    const { kind, ...job } = await start();
    expect(kind).toBe("fits");
    await ledger.query("update cycles set cause = 'drift' where fleet = 'piped'");
    const { preprocessor } = fleet.training as PipelineTraining;
    await recordPreprocessor(ledger, {
      ...cycle,
      hash: preprocessorHash(preprocessor, await readModelColumns(ledger, cycle)),
      specHash: specHash(fleet),
      trainingJobName: "jobName" in job ? job.jobName : "",
      artifactUri: "s3://b/k",
    });
    expect(await start()).toEqual({ kind: "there", generation: 1 });
  });
});

describe("refused, with a sentence", () => {
  test.each<[string, Partial<DriftInput>, string, RegExp]>([
    [
      "a column to ignore that is none",
      { ignore: ["colur"] },
      QUERY,
      /drift\.ignore names "colur"/,
    ],
    ["a query without its window", {}, "select * from drift_rows", /does not use :floor/],
    [
      "a query that Postgres refuses",
      {},
      "select sise from drift_rows where at >= :floor and at < :ceiling",
      /refuses source\.query: column "sise" does not exist/,
    ],
  ])("%s", async (title, drift, query, message) => {
    const name = `refused-${title.length}`;
    const fleet = spec(name, drift, query);
    await champions(fleet, ["calm"]);
    await expect(look(fleet)).rejects.toThrow(message);
  });

  test("a fleet that declares no drift", async () => {
    const { drift: _drift, ...plain } = spec("plain");
    await expect(look(plain)).rejects.toThrow('fleet "plain" declares no drift');
  });
});
