/** Withdrawals beside publications and refreshes: whatever comes first, nothing denied serves and nothing is lost. */
import type { WorkflowHandle } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import type { ArtifactNaming } from "../../fleet/names.js";
import {
  type Pace,
  type Publication,
  publish,
  type ServeEndpointInput,
  type Withdrawal,
  withdraw,
  workflowIds,
} from "../../workflows/messages.js";
import type { serveEndpoint } from "../../workflows/serve-endpoint.js";
import { aFleetName, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { FakeStage } from "./fake-stage.js";
import { type Activities, createFakes, type Fakes } from "./fakes.js";

const temporal = useTemporal([
  "--dynamic-config-value",
  "limit.historyCount.suggestContinueAsNew=80",
]);

interface Opened {
  readonly stage: FakeStage;
  readonly fakes: Fakes;
  readonly handle: WorkflowHandle<typeof serveEndpoint>;
  /** As requestPublication does: starts the workflow unless it runs. */
  publish(customerKey: string, version: number): Promise<void>;
  /** As withdrawModel does: the denial is on record before the endpoint is asked. */
  withdraw(customerKey: string, version: number): Promise<void>;
}

async function openEndpoint(stage: FakeStage, changes: Partial<Pace> = {}): Promise<Opened> {
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {
    activities: stage.activities,
  });
  const { taskQueue } = await temporal.worker(fakes.activities);
  const fleet = aFleetName();
  const workflowId = workflowIds.serveEndpoint(fleet, "sandbox");
  const input: ServeEndpointInput = { fleet, stage: "sandbox", pace: { ...testPace, ...changes } };
  const { workflow } = temporal.client();
  const common = { taskQueue, workflowId, args: [input] as [ServeEndpointInput] };
  return {
    stage,
    fakes,
    handle: workflow.getHandle<typeof serveEndpoint>(workflowId),
    publish: async (customerKey, version) => {
      const releaseWorkflowId = `release/${customerKey}/${version}`;
      await workflow.signalWithStart<typeof serveEndpoint, [Publication]>("serveEndpoint", {
        ...common,
        signal: publish,
        signalArgs: [{ customerKey, version, releaseWorkflowId }],
      });
    },
    withdraw: async (customerKey, version) => {
      stage.denied.add(`${customerKey}/${version}`);
      const withdrawWorkflowId = `withdraw/${customerKey}/${version}`;
      await workflow.signalWithStart<typeof serveEndpoint, [Withdrawal]>("serveEndpoint", {
        ...common,
        signal: withdraw,
        signalArgs: [{ customerKey, version, withdrawWorkflowId }],
      });
    },
  };
}

/** Lets `happen` happen as the activity is about to begin for the n-th time. */
function when(stage: FakeStage, activity: keyof Activities, happen: () => Promise<void>): void {
  stage.moment = async (name, times) => {
    if (name === activity && times === 1) await happen();
  };
}

/** Two cores are shared: what comes about within moments may take seconds. */
const eventually = <T>(read: () => T | Promise<T>) => expect.poll(read, { timeout: 30_000 });

const NAMINGS: readonly ArtifactNaming[] = ["versioned", "stable"];
const STEPS = ["copyArtifacts", "ensureEndpoint", "verifyAndPoint"] as const;

describe.each(NAMINGS)("of a fleet with %s artifacts,", (naming) => {
  const aStage = () => new FakeStage(naming);

  test("a version that serves is replaced by the one before", async () => {
    const endpoint = await openEndpoint(aStage().serve("a", 1, 2));
    temporal.keep(`serve-endpoint-withdrawn-${naming}`, endpoint.handle.workflowId);
    await endpoint.withdraw("a", 2);

    await endpoint.stage.reach("not a/2");
    expect(endpoint.stage.told.get("not a/2")).toEqual(["a/v000001.tar.gz"]);
    expect(endpoint.stage.answers("a")).toBe(1);
    const refreshes = endpoint.fakes.named("ensureEndpoint");
    expect(refreshes).toHaveLength(naming === "stable" ? 1 : 0);
  });

  test("a customer's only version is removed", async () => {
    const endpoint = await openEndpoint(aStage().serve("a", 1));
    await endpoint.withdraw("a", 1);

    await endpoint.stage.reach("not a/1");
    expect(endpoint.stage.told.get("not a/1")).toEqual(["nothing"]);
    expect(endpoint.stage.answers("a")).toBeUndefined();
  });

  test("a version that is denied before it is published is cancelled", async () => {
    const endpoint = await openEndpoint(aStage().serve("a", 1), { collectSeconds: 1 });
    await endpoint.publish("a", 2);
    await endpoint.withdraw("a", 2);

    await endpoint.stage.reach("a/2", "not a/2");
    expect(endpoint.stage.told.get("a/2")).toEqual(["withdrawn"]);
    expect(endpoint.stage.answers("a")).toBe(1);
    expect(endpoint.fakes.named("copyArtifacts")).toEqual([]);
  });

  test("a denial that overtakes the publication cancels it too", async () => {
    const endpoint = await openEndpoint(aStage().serve("a", 1));
    await endpoint.withdraw("a", 2);
    await endpoint.publish("a", 2);

    await endpoint.stage.reach("a/2", "not a/2");
    expect(endpoint.stage.told.get("a/2")).toEqual(["withdrawn"]);
    expect(endpoint.stage.answers("a")).toBe(1);
  });

  test("an older version that was replaced on the desk is wanted again", async () => {
    const endpoint = await openEndpoint(aStage().serve("a", 1), { collectSeconds: 1 });
    await endpoint.publish("a", 2);
    await endpoint.publish("a", 3);
    await endpoint.withdraw("a", 3);

    await endpoint.stage.reach("a/2", "a/3", "not a/3");
    expect(endpoint.stage.told.get("a/2")).toEqual(["serving"]);
    expect(endpoint.stage.answers("a")).toBe(2);
  });

  test.each(STEPS)("a denial at the moment of %s of its own publication wins", async (step) => {
    const endpoint = await openEndpoint(aStage().serve("a", 1));
    when(endpoint.stage, step, () => endpoint.withdraw("a", 2));
    await endpoint.publish("a", 2);

    await endpoint.stage.reach("a/2", "not a/2");
    await eventually(() => endpoint.stage.answers("a")).toBe(1);
    expect(endpoint.stage.told.get("a/2")).toHaveLength(1);
  });

  test.each(STEPS)(
    "the old version's denial at the moment of %s of the new changes nothing",
    async (step) => {
      const endpoint = await openEndpoint(aStage().serve("a", 1, 2));
      when(endpoint.stage, step, () => endpoint.withdraw("a", 2));
      await endpoint.publish("a", 3);

      await endpoint.stage.reach("a/3", "not a/2");
      await eventually(() => endpoint.stage.answers("a")).toBe(3);
      expect(endpoint.stage.told.get("a/3")).toEqual(["serving"]);
    },
  );

  test.each(["restoreArtifacts", "ensureEndpoint", "settleWithdrawals"] as const)(
    "a new version that comes at the moment of %s of a withdrawal serves",
    async (step) => {
      const endpoint = await openEndpoint(aStage().serve("a", 1, 2));
      // A pointer moves without a refresh: there the moment is that of the withdrawal itself.
      const moment = naming === "stable" ? step : "settleWithdrawals";
      when(endpoint.stage, moment, () => endpoint.publish("a", 3));
      await endpoint.withdraw("a", 2);

      await endpoint.stage.reach("a/3", "not a/2");
      await eventually(() => endpoint.stage.answers("a")).toBe(3);
    },
  );

  test.each(["restoreArtifacts", "ensureEndpoint", "settleWithdrawals"] as const)(
    "the way back itself may be denied at the moment of %s",
    async (step) => {
      const endpoint = await openEndpoint(aStage().serve("a", 1, 2, 3));
      const moment = naming === "stable" ? step : "settleWithdrawals";
      when(endpoint.stage, moment, () => endpoint.withdraw("a", 2));
      await endpoint.withdraw("a", 3);

      await endpoint.stage.reach("not a/2", "not a/3");
      await eventually(() => endpoint.stage.answers("a")).toBe(1);
    },
  );

  test("two denials of one version are one, and both askers are told", async () => {
    const endpoint = await openEndpoint(aStage().serve("a", 1, 2));
    when(endpoint.stage, "settleWithdrawals", () => endpoint.withdraw("a", 2));
    await endpoint.withdraw("a", 2);

    await eventually(() => endpoint.stage.told.get("not a/2")?.length).toBeGreaterThanOrEqual(1);
    expect(endpoint.stage.answers("a")).toBe(1);
  });

  test("other customers do not notice", async () => {
    const stage = aStage().serve("a", 1, 2).serve("b", 1, 2);
    const endpoint = await openEndpoint(stage);
    when(stage, "ensureEndpoint", () => endpoint.withdraw("a", 2));
    await endpoint.publish("b", 3);

    await stage.reach("b/3", "not a/2");
    expect([stage.answers("a"), stage.answers("b")]).toEqual([1, 3]);
  });

  test("no withdrawal is lost when the run is cancelled", async () => {
    const endpoint = await openEndpoint(aStage().serve("a", 1, 2).serve("b", 1, 2));
    when(endpoint.stage, "ensureEndpoint", async () => {
      await endpoint.withdraw("a", 2);
      await endpoint.handle.cancel();
    });
    await endpoint.publish("b", 3);

    await expect(endpoint.handle.result()).rejects.toThrow();
    expect(endpoint.stage.told.has("not a/2")).toBe(true);
    expect([endpoint.stage.answers("a"), endpoint.stage.answers("b")]).toEqual([1, 3]);
  });

  test("no withdrawal is lost when it comes as the idle workflow ends", async () => {
    const stage = aStage();
    const customers = Array.from({ length: 20 }, (_none, index) => `c${index}`);
    for (const customer of customers) stage.serve(customer, 1, 2);
    const endpoint = await openEndpoint(stage, { idleSeconds: 0.01, collectSeconds: 0.01 });
    for (const customer of customers) await endpoint.withdraw(customer, 2);

    await stage.reach(...customers.map((customer) => `not ${customer}/2`));
    for (const customer of customers) expect(stage.answers(customer)).toBe(1);
  });

  test("no withdrawal is lost when the workflow continues as new", async () => {
    const stage = aStage();
    // More signals than events until a new run is suggested, however few workflow tasks they come in.
    const customers = Array.from({ length: 100 }, (_none, index) => `c${index}`);
    for (const customer of customers) stage.serve(customer, 1, 2);
    const endpoint = await openEndpoint(stage);
    await endpoint.withdraw("c0", 2);
    const first = await endpoint.handle.describe();
    for (const customer of customers) await endpoint.withdraw(customer, 2);

    await stage.reach(...customers.map((customer) => `not ${customer}/2`));
    for (const customer of customers) expect(stage.answers(customer)).toBe(1);
    await eventually(async () => (await endpoint.handle.describe()).runId).not.toBe(first.runId);
  });
});

describe("with stable artifacts,", () => {
  const broken = (): never => {
    throw ApplicationFailure.nonRetryable("rolled back: no capacity", "EndpointFailed");
  };

  test("a version that fails its verification goes back, with one more refresh for all", async () => {
    const stage = new FakeStage("stable").serve("a", 1).serve("b", 1);
    stage.bad.add("a/2").add("b/2");
    const endpoint = await openEndpoint(stage, { collectSeconds: 1 });
    await endpoint.publish("a", 2);
    await endpoint.publish("b", 2);

    await stage.reach("a/2", "b/2");
    expect(stage.told.get("a/2")).toEqual(["answers otherwise"]);
    await eventually(() => [stage.answers("a"), stage.answers("b")]).toEqual([1, 1]);
    expect(endpoint.fakes.named("ensureEndpoint")).toMatchObject([
      { reload: true },
      { reload: true },
    ]);
  });

  test("each refresh has a name of its own, also within a second", async () => {
    const endpoint = await openEndpoint(new FakeStage("stable").serve("a", 1, 2, 3));
    await endpoint.withdraw("a", 3);
    await endpoint.stage.reach("not a/3");
    await endpoint.withdraw("a", 2);
    await endpoint.stage.reach("not a/2");

    const times = endpoint.fakes.named("ensureEndpoint").map((input) => JSON.stringify(input));
    const seconds = times.map((text) => /"at":"([^".]+)/.exec(text)?.[1]);
    expect(seconds).toHaveLength(2);
    expect(new Set(seconds).size).toBe(2);
  });

  test("a refresh that fails tells the publications, and is tried again for the withdrawals", async () => {
    const stage = new FakeStage("stable").serve("a", 1, 2).serve("b", 1);
    const endpoint = await openEndpoint(stage, { collectSeconds: 1 });
    temporal.keep("serve-endpoint-refresh-failed", endpoint.handle.workflowId);
    stage.moment = async (name, times) => {
      if (name === "ensureEndpoint" && times === 1) broken();
    };
    await endpoint.withdraw("a", 2);
    await endpoint.publish("b", 2);

    await stage.reach("b/2", "delay of a/2", "not a/2");
    expect(stage.told.get("b/2")).toEqual(["rolled back: no capacity"]);
    expect(stage.told.get("delay of a/2")).toEqual(["rolled back: no capacity"]);
    await eventually(() => [stage.answers("a"), stage.answers("b")]).toEqual([1, 1]);
    // Nothing of the version that was not published is left for a container that starts later.
    expect(stage.object.get("b")).toBe(1);
  });

  test("the way back of a failed verification is tried until the endpoint takes it", async () => {
    const stage = new FakeStage("stable").serve("a", 1);
    stage.bad.add("a/2");
    const endpoint = await openEndpoint(stage);
    stage.moment = async (name, times) => {
      if (name === "ensureEndpoint" && (times === 2 || times === 3)) broken();
    };
    await endpoint.publish("a", 2);

    await stage.reach("a/2");
    await eventually(() => stage.answers("a")).toBe(1);
  });
});

test("a pointer moves while a refresh of other customers' models is under way", async () => {
  const stage = new FakeStage("versioned").serve("a", 1, 2).serve("b", 1);
  const endpoint = await openEndpoint(stage);
  when(stage, "ensureEndpoint", async () => {
    await endpoint.withdraw("a", 2);
    // The refresh does not end before the withdrawal has.
    await stage.reach("not a/2");
  });
  await endpoint.publish("b", 2);

  await stage.reach("b/2");
  expect([stage.answers("a"), stage.answers("b")]).toEqual([1, 2]);
});

test("a withdrawal whose worker dies is made by another", { timeout: 90_000 }, async () => {
  const stage = new FakeStage("versioned").serve("a", 1, 2);
  const endpoint = await openEndpoint(stage);
  // The first attempt does not answer while anybody waits: as if its worker had been killed in the middle.
  let letGo = (): void => {};
  stage.moment = async (name, times) => {
    if (name === "settleWithdrawals" && times === 1)
      await new Promise<void>((resolve) => (letGo = resolve));
  };
  await endpoint.withdraw("a", 2);

  await stage.reach("not a/2");
  expect(stage.answers("a")).toBe(1);
  letGo();
});
