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
import { createTrainingActivities } from "../../activities/training.js";
import { modelPackageGroupName } from "../../fleet/names.js";
import { plannedCycle, type NoopFleetOptions } from "./noop-fleet.js";
import { run, useParts } from "./parts.js";

const parts = useParts(17750);

const training = () =>
  createTrainingActivities({ ...parts(), maxTrainingJobs: 1000, watchSeconds: 0.05 });
const evaluateModel = (input: Evaluated) =>
  run(createEvaluationActivities(parts()).evaluateModel, input);
const registerModel = (input: Evaluated) =>
  run(createRegistryActivities(parts()).registerModel, input);
const recordDecision = (input: Parameters<Registry["recordDecision"]>[0]) =>
  run(createRegistryActivities(parts()).recordDecision, input);
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
  await expect.poll(look).not.toBeNull();
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
      decision: "approve",
      artifact_uri: expect.stringMatching(/output\/model\.tar\.gz$/) as string,
    });
    expect(await customerOf(model)).toMatchObject({ state: "evaluated", reason: row?.because });
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
