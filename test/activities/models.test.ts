import {
  DescribeModelPackageCommand,
  ListModelPackagesCommand,
  type DescribeModelPackageOutput,
} from "@aws-sdk/client-sagemaker";
import { describe, expect, test } from "vitest";
import { createCycleActivities } from "../../activities/cycles.js";
import { createEvaluationActivities } from "../../activities/evaluation.js";
import { createFailureActivities } from "../../activities/failures.js";
import { createRegistryActivities } from "../../activities/registry.js";
import { parseS3Uri } from "../../activities/s3-uri.js";
import { createTrainingActivities } from "../../activities/training.js";
import { continuous } from "../../fleet/ranges.js";
import { modelPackageGroupName } from "../../fleet/names.js";
import { plannedCycle, type NoopFleetOptions } from "./noop-fleet.js";
import { readObject, run, useParts } from "./parts.js";

const parts = useParts(17750);

const training = () =>
  createTrainingActivities({ ...parts(), maxTrainingJobs: 1000, watchSeconds: 0.05 });
const registry = () => createRegistryActivities({ ...parts(), watchSeconds: 15 });
const evaluateModel = (input: Evaluated) =>
  run(createEvaluationActivities(parts()).evaluateModel, input);
const registerModel = (input: Evaluated) => run(registry().registerModel, input);
const recordDecision = (input: Omit<Parameters<Registry["recordDecision"]>[0], "state" | "at">) =>
  run(registry().recordDecision, {
    ...input,
    state: input.decision.verdict === "approve" ? "approved" : "denied",
    at: "2026-11-01T10:00:00.000Z",
  });
type Registry = ReturnType<typeof createRegistryActivities>;
interface Evaluated {
  readonly fleet: string;
  readonly cycle: string;
  readonly customerKey: string;
  readonly trainingJobName: string;
}

/** A customer whose training job has completed. */
async function trained(options: NoopFleetOptions): Promise<Evaluated> {
  const { fleet, cycle } = await plannedCycle(parts(), options);
  return train({ fleet, cycle, customerKey: "site-1" });
}

async function train(customer: Omit<Evaluated, "trainingJobName">): Promise<Evaluated> {
  const { trainingJobName } = await run(training().startTrainingJob, { ...customer, round: 0 });
  const look = () => run(training().findEndedJob, { trainingJobName });
  await expect.poll(look, { timeout: 30_000 }).not.toBeNull();
  return { ...customer, trainingJobName };
}

const rowOf = async (sql: string, values: unknown[]) =>
  (await parts().ledger.query<Record<string, unknown>>(sql, values)).rows[0];
const customerOf = ({ fleet, cycle, customerKey }: Evaluated) =>
  rowOf("select * from customers where fleet = $1 and cycle = $2 and customer_key = $3", [
    fleet,
    cycle,
    customerKey,
  ]);
const releaseOf = ({ fleet, customerKey }: Evaluated, version: number) =>
  rowOf("select * from releases where fleet = $1 and customer_key = $2 and version = $3", [
    fleet,
    customerKey,
    version,
  ]);

async function packageOf(model: Evaluated, version: number): Promise<DescribeModelPackageOutput> {
  const release = await releaseOf(model, version);
  return parts().sagemaker.send(
    new DescribeModelPackageCommand({ ModelPackageName: String(release?.model_package_arn) }),
  );
}

const AUTO = { autoApprove: { betterThanBaseline: 0.1 } };

/** A fleet whose challenger is surely better than its champion. */
const COMPARED = {
  name: "compared",
  gate: {
    judgement: { kind: "superior", margin: 0, confidence: 0.9 },
    segments: [{ column: "x", maximumDrop: 0.1 }],
  },
  hyperparameters: {
    "metric:champion:rmse": "12.5",
    "metric:champion:mae": "9",
    "metric:champion:stdev_error": "11",
    "metric:improvement:low": "0.05",
    "metric:improvement:high": "0.3",
    "metric:segment:1:drop": "0.08",
  },
};

describe("evaluating a challenger", () => {
  test("keeps its figures, its predictions and its artifact beside the gate's decision", async () => {
    const model = await trained({ name: "figures", gate: AUTO });
    await expect(evaluateModel(model)).resolves.toMatchObject({ decision: "approve" });
    const row = await rowOf("select * from evaluations where fleet = 'figures'", []);
    expect(row).toMatchObject({
      training_job_name: model.trainingJobName,
      metrics: { rmse: 10, mae: 8, stdev_error: 9 },
      champion_metrics: null,
      baseline_metrics: { rmse: 20, mae: 16 },
      predictions: [1.5, 2.5, 3.5],
      reasons: ["first model, rmse 10", "50 % below predict-the-mean's 20 (policy asks 10 %)"],
      improvement: null,
      segments: [],
      testing: false,
      test_rows: "10",
      objective_metric: "validation:rmse",
      objective_value: 10.5,
      decision: "approve",
      artifact_uri: expect.stringMatching(/output\/model\.tar\.gz$/) as string,
    });
    expect(await customerOf(model)).toMatchObject({ state: "evaluated", reason: row?.because });
  });

  test("keeps how sure the improvement is, and how the segments fare", async () => {
    const model = await trained(COMPARED);
    await evaluateModel(model);
    const row = await rowOf("select * from evaluations where fleet = $1", [COMPARED.name]);
    expect(row).toMatchObject({
      decision: "ask",
      improvement: {
        metric: "rmse",
        confidence: 0.9,
        estimate: expect.closeTo(0.2) as number,
        low: 0.05,
        high: 0.3,
      },
      segments: [{ column: "x", drop: 0.08 }],
    });
  });

  test("of a search that only tries the path notes that it does, and what was optimised", async () => {
    const tuning = { ranges: { x: continuous(0.1, 1) }, objective: "validation:rmse", maxJobs: 2 };
    const model = await trained({ name: "tried", gate: AUTO, tuning });
    await parts().ledger.query("update cycles set testing = true where fleet = 'tried'");
    await evaluateModel(model);
    expect(await rowOf("select * from evaluations where fleet = 'tried'", [])).toMatchObject({
      testing: true,
      objective_metric: "validation:rmse",
      objective_value: 10.5,
    });
    await registerModel(model);
    const { CustomerMetadataProperties: properties } = await packageOf(model, 1);
    expect(properties).toMatchObject({
      testing: "true",
      "objective-metric": "validation:rmse",
      "objective-value": "10.5",
    });
  });

  test("leaves the champion in place when the challenger gains too little", async () => {
    const model = await trained({
      name: "kept",
      gate: { better: 0.5 },
      hyperparameters: {
        "metric:champion:rmse": "10.1",
        "metric:champion:mae": "8",
        "metric:champion:stdev_error": "9",
      },
    });
    await expect(evaluateModel(model)).resolves.toMatchObject({ decision: "keep-champion" });
    expect(await customerOf(model)).toMatchObject({ state: "champion-kept" });
    await expect(registerModel(model)).rejects.toMatchObject({ nonRetryable: true });
  });

  test("names the metric that the script did not print", async () => {
    const model = await trained({ name: "silent", hyperparameters: { "metric:test:mae": "NaN" } });
    await expect(evaluateModel(model)).rejects.toThrow(/test:mae/);
  });

  test("refuses a script that does not score the champion it was given", async () => {
    const model = await trained({ name: "unfair" });
    await parts().ledger.query("update customers set champion_version = 3 where fleet = 'unfair'");
    await expect(evaluateModel(model)).rejects.toMatchObject({
      type: "TrainingAlgorithmError",
      message: expect.stringContaining("version 3") as string,
    });
  });

  test("refuses a job that completed without saving its model", async () => {
    const model = await trained({
      name: "unsaved",
      hyperparameters: { artifact: "false" },
      training: { sourceHash: "b".repeat(64) },
    });
    await expect(evaluateModel(model)).rejects.toMatchObject({
      type: "TrainingAlgorithmError",
      message: expect.stringContaining("without a model") as string,
      nonRetryable: true,
    });
  });

  test("twice is the same as once, and a late attempt takes nothing back", async () => {
    const model = await trained({ name: "again" });
    const first = await evaluateModel(model);
    await registerModel(model);
    await expect(evaluateModel(model)).resolves.toEqual(first);
    expect(await customerOf(model)).toMatchObject({ state: "pending" });
  });
});

describe("registering a challenger", () => {
  test("makes a version that a person can decide on from the registry alone", async () => {
    const model = await trained({ name: "registered" });
    await evaluateModel(model);
    await expect(registerModel(model)).resolves.toEqual({ version: 1 });
    const described = await packageOf(model, 1);
    expect(described).toMatchObject({
      ModelApprovalStatus: "PendingManualApproval",
      CustomerMetadataProperties: {
        fleet: "registered",
        customer: "site-1",
        cycle: model.cycle,
        "training-job": model.trainingJobName,
        "data-hash": expect.stringMatching(/^[0-9a-f]{64}$/) as string,
        rmse: "10",
        "baseline-rmse": "20",
      },
    });
    expect(await releaseOf(model, 1)).toMatchObject({ state: "pending", decided_by: null });
    expect(await customerOf(model)).toMatchObject({ state: "pending" });
  });

  test("puts all that it was judged by beside the version, as properties and as a report", async () => {
    const model = await trained({ ...COMPARED, name: "reported" });
    await evaluateModel(model);
    await registerModel(model);
    const { CustomerMetadataProperties: properties = {}, ModelMetrics } = await packageOf(model, 1);
    expect(properties).toMatchObject({
      "champion-rmse": "12.5",
      "improvement-metric": "rmse",
      improvement: "0.2",
      "improvement-low": "0.05",
      "improvement-high": "0.3",
      "improvement-confidence": "0.9",
      "segment-1-column": "x",
      "segment-1-drop": "0.08",
      "objective-metric": "validation:rmse",
      "objective-value": "10.5",
      "train-rows": expect.stringMatching(/^\d+$/) as string,
      "test-rows": expect.stringMatching(/^\d+$/) as string,
    });
    expect(Object.keys(properties).length).toBeLessThanOrEqual(50);
    const { bucket, key } = parseS3Uri(ModelMetrics?.ModelQuality?.Statistics?.S3Uri ?? "");
    expect(bucket).toBe(parts().bucket);
    expect(JSON.parse((await readObject(parts(), key)) ?? "")).toMatchObject({
      regression_metrics: { rmse: { value: 10 }, mae: { value: 8 }, stdev_error: { value: 9 } },
      champion_regression_metrics: { rmse: { value: 12.5 } },
      baseline_regression_metrics: { rmse: { value: 20 } },
      improvement: { low: 0.05, high: 0.3 },
      segments: [{ column: "x", drop: 0.08 }],
      decision: "ask",
      reasons: [
        expect.stringContaining("(policy asks better by more than 0 %: shown)") as string,
        "in the worst x, rmse is 8 % above the champion's (policy allows 10 % above)",
        "the policy leaves the decision to a person",
      ],
    });
  });

  test("approves by policy what the gate lets pass", async () => {
    const model = await trained({ name: "by-policy", gate: AUTO });
    await evaluateModel(model);
    await expect(registerModel(model)).resolves.toEqual({
      version: 1,
      approvedBy: "policy:by-policy",
    });
    await expect(packageOf(model, 1)).resolves.toMatchObject({ ModelApprovalStatus: "Approved" });
    expect(await releaseOf(model, 1)).toMatchObject({
      state: "approved",
      decided_by: "policy:by-policy",
    });
  });

  test("makes one version, also when an attempt died before it wrote it down", async () => {
    const model = await trained({ name: "one-version" });
    await evaluateModel(model);
    await registerModel(model);
    await registerModel(model);
    await parts().ledger.query("delete from releases where fleet = 'one-version'");
    await expect(registerModel(model)).resolves.toEqual({ version: 1 });
    const { ModelPackageSummaryList } = await parts().sagemaker.send(
      new ListModelPackagesCommand({
        ModelPackageGroupName: modelPackageGroupName("one-version", "site-1"),
      }),
    );
    expect(ModelPackageSummaryList).toHaveLength(1);
  });

  test("counts versions on from cycle to cycle", async () => {
    const first = await trained({ name: "cycles" });
    await evaluateModel(first);
    await registerModel(first);
    const second = await trained({ name: "cycles", cycle: "2013-08-01" });
    await evaluateModel(second);
    await expect(registerModel(second)).resolves.toEqual({ version: 2 });
  });

  test("takes a customer whatever signs its name has", async () => {
    const name = "odd-names";
    const query =
      `select e'\\U0001F680 "quoted" 100% <b>\\n; drop' as customer, n::float8 as target, n as x ` +
      `from generate_series(1, 100) n where now() > :floor and :ceiling > :floor`;
    const { fleet, cycle } = await plannedCycle(parts(), { name, source: { query } });
    const row = await rowOf("select customer_key from customers where fleet = $1", [name]);
    const model = await train({ fleet, cycle, customerKey: String(row?.customer_key) });
    await evaluateModel(model);
    await expect(registerModel(model)).resolves.toEqual({ version: 1 });
  });
});

describe("recording a decision", () => {
  const pending = async (name: string) => {
    const model = await trained({ name });
    await evaluateModel(model);
    const { version } = await registerModel(model);
    return { model, version };
  };

  test("approves the version in the registry and in the ledger, with who and why", async () => {
    const { model, version } = await pending("approved");
    const decision = { verdict: "approve", by: "ada", note: "line one\nline two" } as const;
    await recordDecision({ ...model, version, decision });
    await recordDecision({ ...model, version, decision });
    await expect(packageOf(model, version)).resolves.toMatchObject({
      ModelApprovalStatus: "Approved",
      ApprovalDescription: "ada: line one line two",
    });
    expect(await releaseOf(model, version)).toMatchObject({
      state: "approved",
      decided_by: "ada",
      note: "line one\nline two",
      decided_at: new Date("2026-11-01T10:00:00.000Z"),
    });
    expect(await customerOf(model)).toMatchObject({ state: "approved" });
  });

  test("denies it likewise", async () => {
    const { model, version } = await pending("denied");
    const decision = { verdict: "deny", by: "grace", note: "drifts" } as const;
    await recordDecision({ ...model, version, decision });
    await expect(packageOf(model, version)).resolves.toMatchObject({
      ModelApprovalStatus: "Rejected",
    });
    expect(await customerOf(model)).toMatchObject({ state: "denied", reason: "drifts" });
  });

  test("about a version that does not exist says how to list those that do", async () => {
    const decision = { verdict: "approve", by: "ada" } as const;
    await expect(
      recordDecision({ fleet: "nobody", customerKey: "site-1", version: 9, decision }),
    ).rejects.toMatchObject({
      nonRetryable: true,
      message: expect.stringContaining("9") as string,
    });
  });
});

describe("planning the next cycle", () => {
  const serve = (fleet: string) =>
    parts().ledger.query("update releases set state = 'serving' where fleet = $1", [fleet]);
  const plan = (cycle: { fleet: string; cycle: string }, force = false) =>
    run(createCycleActivities(parts()).planCycle, { ...cycle, shardSize: 250, force });

  test("skips a customer whose data, code and spec are those of its champion, unless forced", async () => {
    const model = await trained({ name: "unchanged" });
    await evaluateModel(model);
    await registerModel(model);
    await serve("unchanged");
    const next = await plannedCycle(parts(), { name: "unchanged", cycle: "2013-08-01" });
    const cycle = { fleet: next.fleet, cycle: next.cycle };
    await expect(plan(cycle)).resolves.toMatchObject({ train: 0, skipped: 1, shards: 0 });
    const row = await rowOf(
      "select reason from customers where fleet = 'unchanged' and cycle = $1",
      [next.cycle],
    );
    expect(row?.reason).toMatch(/unchanged/);
    await expect(plan(cycle, true)).resolves.toMatchObject({ train: 1, skipped: 0, shards: 1 });
  });

  test("trains it for what makes another model, and not for another policy", async () => {
    const model = await trained({ name: "policy" });
    await evaluateModel(model);
    await registerModel(model);
    await serve("policy");
    const cycle = { name: "policy", cycle: "2013-08-01" };
    const later = await plannedCycle(parts(), { ...cycle, gate: AUTO });
    const next = { fleet: later.fleet, cycle: later.cycle };
    await expect(plan(next)).resolves.toMatchObject({ train: 0, skipped: 1 });
    await plannedCycle(parts(), { ...cycle, gate: AUTO, hyperparameters: { other: "1" } });
    await expect(plan(next)).resolves.toMatchObject({ train: 1, skipped: 0 });
  });

  test("knows the champion's spec, also when its cycle was run again with another", async () => {
    const model = await trained({ name: "rerun" });
    await evaluateModel(model);
    await registerModel(model);
    await serve("rerun");
    const mended = { name: "rerun", hyperparameters: { other: "1" } };
    await plannedCycle(parts(), { ...mended, cycle: model.cycle });
    const next = { fleet: "rerun", cycle: "2013-08-01" };
    await plannedCycle(parts(), { ...mended, cycle: next.cycle });
    await expect(plan(next)).resolves.toMatchObject({ train: 1, skipped: 0 });
    await plannedCycle(parts(), { name: "rerun", cycle: next.cycle });
    await expect(plan(next)).resolves.toMatchObject({ train: 0, skipped: 1 });
  });

  test("notes the champion that the challenger will have to beat", async () => {
    const model = await trained({ name: "champion" });
    await evaluateModel(model);
    await registerModel(model);
    await serve("champion");
    const next = await plannedCycle(parts(), {
      name: "champion",
      cycle: "2013-08-01",
      hyperparameters: { other: "1" },
    });
    const row = await rowOf(
      "select state, champion_version from customers where fleet = 'champion' and cycle = $1",
      [next.cycle],
    );
    expect(row).toEqual({ state: "planned", champion_version: 1 });
  });

  test("puts the customers into shards of the asked size", async () => {
    const { fleet, cycle } = await plannedCycle(parts(), { name: "shards", customers: 7 });
    const { planCycle, readShard } = createCycleActivities(parts());
    const plan = await run(planCycle, { fleet, cycle, shardSize: 3, force: false });
    expect(plan).toEqual({ customers: 7, train: 7, skipped: 0, failed: 0, shards: 3 });
    const last = await run(readShard, { fleet, cycle, shard: 2 });
    expect(last.customerKeys).toEqual(["site-7"]);
  });
});

describe("closing a cycle", () => {
  test("counts its customers by what became of them", async () => {
    const { fleet, cycle } = await plannedCycle(parts(), { name: "closed", customers: 5 });
    const states = ["pending", "serving", "champion-kept", "skipped"];
    for (const [index, state] of states.entries())
      await parts().ledger.query(
        "update customers set state = $2 where fleet = 'closed' and customer_key = $1",
        [`site-${index + 1}`, state],
      );
    await run(createFailureActivities(parts()).recordFailure, {
      fleet,
      cycle,
      customerKey: "site-5",
      errorType: "TrainingAlgorithmError",
      reason: "ValueError: no",
    });
    const report = await run(createCycleActivities(parts()).closeCycle, {
      fleet,
      cycle,
      state: "completed",
    });
    expect(report).toEqual({
      fleet,
      cycle,
      customers: 5,
      registered: 2,
      championKept: 1,
      skipped: 1,
      failed: 1,
    });
  });

  test("a stage of another account is refused before anything is written", async () => {
    const { openCycle } = createCycleActivities({ ...parts(), account: "222222222222" });
    const { spec } = await plannedCycle(parts(), { name: "elsewhere" });
    await expect(
      run(openCycle, {
        spec,
        cycle: "2013-09-01",
        window: { floor: "2013-01-01T00:00:00.000Z", ceiling: "2013-02-01T00:00:00.000Z" },
        workflowId: "w",
        force: false,
      }),
    ).rejects.toMatchObject({ type: "AccountMismatch", nonRetryable: true });
  });
});
