/** A cohort as a person meets it: shown, approved with an exception, served, promoted, denied as a whole. */
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { MatrixRow } from "../../client/stage-matrix.js";
import { createCohortRegistrationActivities } from "../../activities/cohort-registration.js";
import { fleetSpecSchema, type FleetSpec } from "../../fleet/spec.schema.js";
import { isStaged, promotionStages } from "../../fleet/stages.js";
import { DEFAULT_PACE, TASK_QUEUES, workflowIds, WORKFLOWS } from "../../workflows/messages.js";
import {
  aShardedFleet,
  anEvaluatedCohort,
  cohortStanding,
  memberKey,
} from "../activities/cohorts.js";
import { connectParts, type Parts, run } from "../activities/parts.js";
import { uploadCode } from "../activities/publishing.js";
import { cli, startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const FLEET = "meters";
const MEMBERS = 20;
const CYCLES = ["2026-10-01", "2026-11-01"] as const;
const spec = aShardedFleet(FLEET);
/** The lag never ends by itself: the test says when. */
const staged = fleetSpecSchema.parse({
  ...aShardedFleet("promoted-meters"),
  stages: [
    { name: "sandbox", account: "111111111111" },
    { name: "prod", account: "111111111111", approval: "stage", lag: "1d" },
  ],
});

let stack: TestStack;
let parts: Parts;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19300 });
  parts = await connectParts(stack.environment);
  worker = await startWorkerProcess(stack);
  for (const one of [spec, staged]) await uploadCode(parts, one);
});

afterAll(async () => {
  await worker.stop();
  await parts.ledger.end();
  await parts.warehouse.end();
  await parts.temporal.connection.close();
  await stack.close();
});

interface CohortChoice {
  readonly factor: number;
  readonly asking: readonly number[];
}

/** As a sharded cycle ends. */
const released = (cycle: string, choice: CohortChoice) =>
  releasedOf(spec, { cycle, members: MEMBERS, ...choice });

async function releasedOf(
  of: FleetSpec,
  cohortOf: CohortChoice & { readonly cycle: string; readonly members: number },
): Promise<number> {
  const { cycle } = cohortOf;
  const fleet = of.name;
  await anEvaluatedCohort(parts, { spec: of, ...cohortOf });
  const { registerCohort } = createCohortRegistrationActivities({ ...parts, watchSeconds: 1 });
  const cohort = await run(registerCohort, { fleet, cycle });
  const stages = promotionStages(of);
  if (cohort === null) throw new Error("nothing was registered");
  await parts.temporal.workflow.start(WORKFLOWS.releaseCohort, {
    workflowId: workflowIds.releaseCohort(fleet, cohort.version),
    taskQueue: TASK_QUEUES.control,
    args: [
      {
        ...{ fleet, stage: of.stages[0].name, cycle, ...cohort },
        ...(isStaged(stages) ? { stages } : {}),
        pace: { ...DEFAULT_PACE, collectSeconds: 0.1, graceSeconds: 0.1 },
      },
    ],
  });
  return cohort.version;
}

const modelfleet = (...words: string[]) => cli(stack, ...words);

/** A worker may be busy: until it is so, or half a minute. */
async function until(version: number, wanted: Readonly<Record<string, number>>): Promise<void> {
  for (let left = 150; left > 0; left--) {
    const standing = await cohortStanding(parts, spec, version);
    if (Object.entries(wanted).every(([state, members]) => standing[state] === members)) return;
    await wait(200);
  }
  expect(await cohortStanding(parts, spec, version)).toMatchObject(wanted);
}

describe("a cohort", () => {
  test("waits as one: its members are not decided by themselves", async () => {
    await released(CYCLES[0], { factor: 10, asking: [1, 2] });

    const single = await modelfleet("approve", FLEET, "C00001");
    expect(single.code).toBe(1);
    expect(single.stderr).toContain(
      '"C00001" waits as one of the 20 models of version 1, which are decided at once',
    );
    expect(single.stderr).toContain(`modelfleet approve ${FLEET} --cohort 2026-10-01`);
    const denied = await modelfleet("deny", FLEET, "C00001", "--note", "odd");
    expect(denied.stderr).toContain("--except c00001 leaves it out");
    const bulk = await modelfleet("approve", FLEET, "--all-pending", "--yes");
    expect(bulk.stderr).toContain("are a cohort, which is decided at once");
    const models = await modelfleet("models", FLEET, "--pending");
    expect(models.stdout).toContain("cohort of");
    expect(models.stderr).toContain("version 1: 20 models wait for one decision");
  });

  test("is shown before it is decided, and what cannot be is refused", async () => {
    const shown = await modelfleet("approve", FLEET, "--cohort", "2026-10-01");
    expect(shown.code).toBe(0);
    expect(shown.stdout).toContain("20 models, 2 of which ask for a person.");
    expect(shown.stdout).toContain("Ask for a person (2)");
    expect(shown.stderr).toContain("20 models would be approved and published");
    expect(shown.stderr).toContain("add --yes to approve it");
    expect(await cohortStanding(parts, spec, 1)).toEqual({ pending: MEMBERS });

    const unknown = await modelfleet("approve", FLEET, "--version", "1", "--except", "C9");
    expect(unknown.stderr).toContain('"C9" is no member of version 1');
    const other = await modelfleet("approve", FLEET, "--cohort", "2026-01-01");
    expect(other.stderr).toContain(
      'no cohort of cycle "2026-01-01" (newest: version 1 of 2026-10-01)',
    );
    const both = await modelfleet("approve", FLEET, "C00001", "--cohort", "2026-10-01");
    expect(both.code).toBe(2);
    const without = await modelfleet("approve", FLEET, "C00001", "--except", "C00002");
    expect(without.stderr).toContain("--except leaves customers out of a cohort");
  });

  test("approved with an exception, all others serve, and commands tell the cohort", async () => {
    const words = ["--cohort", "2026-10-01", "--except", "C00003", "--by", "ann", "--yes"];
    const approved = await modelfleet("approve", FLEET, ...words);
    expect(approved.stdout).toContain("approved  version 1: 19 models by ann, 1 left out");
    await until(1, { serving: MEMBERS - 1, denied: 1 });

    const invoked = await modelfleet("invoke", FLEET, "C00007", "--body", "1,2");
    expect(invoked.stdout.trim()).toBe("30");
    const lineage = await modelfleet("lineage", FLEET, "C00007");
    expect(lineage.stdout).toContain("with all 20 models of version 1");
    const status = await modelfleet("status", FLEET);
    expect(status.stdout).toContain(
      "version 1 of all customers: 20 models, published, decided by ann",
    );
    const again = await modelfleet("approve", FLEET, "--version", "1", "--yes");
    expect(again.stderr).toContain("does not wait for a decision: it is published, decided by ann");
  });

  test("one member rolls back by itself; denied by its number, the whole cohort goes", async () => {
    await released(CYCLES[1], { factor: 20, asking: [] });
    await until(2, { serving: MEMBERS });
    const back = ["C00007", "--because", "odd", "--by", "bob", "--yes"];
    expect((await modelfleet("rollback", FLEET, ...back)).stdout).toContain(
      "serves  C00007 version 1",
    );
    expect(await cohortStanding(parts, spec, 2)).toMatchObject({ serving: MEMBERS - 1 });

    const unnamed = await modelfleet("deny", FLEET, "--cohort", "2026-11-01", "--note", "no");
    expect(unnamed.stderr).toContain(`modelfleet deny ${FLEET} --version 2 --note "why" withdraws`);
    const words = ["--version", "2", "--note", "wrong weather", "--by", "bob", "--yes"];
    const denied = await modelfleet("deny", FLEET, ...words);
    expect(denied.stdout).toContain(
      "denied  version 2: 20 models by bob; they are being withdrawn",
    );
    await until(1, { serving: MEMBERS - 1 });
    // Version 1 of this one was left out, so it has no way back.
    const gone = await modelfleet("invoke", FLEET, memberKey(3), "--body", "1,2");
    expect(gone.code).toBe(1);
    const invoked = await modelfleet("invoke", FLEET, "C00009", "--body", "1,2");
    expect(invoked.stdout.trim()).toBe("30");
    const history = await modelfleet("history", FLEET);
    expect(history.stdout).toContain("version 2, 20 models, withdrawn");
  });
});

describe("a cohort of a fleet with stages", () => {
  const fleet = staged.name;

  /** By stage, the version that serves, and how far the next one is. */
  async function cells(customer: string): Promise<string[]> {
    const words = ["--stages", "--customer", customer, "--json"];
    const { stdout, stderr } = await modelfleet("status", fleet, ...words);
    if (stdout === "") throw new Error(stderr);
    const { customers } = JSON.parse(stdout) as { customers: MatrixRow[] };
    return (customers[0]?.stages ?? []).map(({ version, coming }) =>
      coming === null ? String(version) : `${version} ${coming.state} ${coming.version}`,
    );
  }

  const untilCells = (customer: string, wanted: readonly string[]) =>
    expect.poll(() => cells(customer), { timeout: 60_000, interval: 500 }).toEqual(wanted);

  test("waits for its stage's approval and the lag, and comes into production when it is hurried", async () => {
    await releasedOf(staged, { cycle: "2026-10-01", members: 4, factor: 10, asking: [] });
    await untilCells("C00000", ["1", "null stage-approval 1"]);

    const single = await modelfleet("promote", fleet, "C00000", "--hold");
    expect(single.stderr).toContain("moves through the stages with all models of its cohort");
    const nobody = await modelfleet("promote", fleet, "--hold");
    expect(nobody.code).toBe(2);
    const cohort = ["--cohort", "2026-10-01"];
    const approved = await modelfleet(
      "approve",
      fleet,
      ...cohort,
      "--stage",
      "prod",
      "--by",
      "ann",
    );
    expect(approved.stdout).toContain("approved  version 1: 4 models for stage prod by ann");
    await untilCells("C00000", ["1", "null lag 1"]);
    expect((await modelfleet("promote", fleet, ...cohort, "--now")).stdout).toContain(
      "hurried  version 1: 4 models",
    );
    await untilCells("C00003", ["1", "1"]);
    const words = ["C00003", "--stage", "prod", "--body", "1,2"];
    expect((await modelfleet("invoke", fleet, ...words)).stdout.trim()).toBe("30");
  });

  test("denied in the lag, the stage that has it goes back, and production keeps what it has", async () => {
    await releasedOf(staged, { cycle: "2026-11-01", members: 4, factor: 20, asking: [] });
    await untilCells("C00000", ["2", "1 stage-approval 2"]);
    const held = await modelfleet("promote", fleet, "--version", "2", "--hold", "--json");
    expect(JSON.parse(held.stdout)).toMatchObject({ version: 2, members: 4, kind: "hold" });
    await untilCells("C00001", ["2", "1 held 2"]);

    const words = ["--version", "2", "--note", "wrong weather", "--by", "bob", "--yes"];
    const denied = await modelfleet("deny", fleet, ...words);
    expect(denied.stdout).toContain("denied  version 2: 4 models by bob");
    await untilCells("C00001", ["1", "1"]);
    expect(await cohortStanding(parts, staged, 2)).toEqual({ withdrawn: 4 });
    const again = await modelfleet("promote", fleet, "--version", "2", "--now");
    expect(again.code).toBe(1);
    const words1 = ["C00001", "--stage", "sandbox", "--body", "1,2"];
    expect((await modelfleet("invoke", fleet, ...words1)).stdout.trim()).toBe("30");
  });
});
