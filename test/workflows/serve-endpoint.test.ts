/** The endpoint's workflow: batches publications, and leaves none without an outcome. */
import type { WorkflowHandle } from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import {
  type Pace,
  type Publication,
  publish,
  type ServeEndpointInput,
  workflowIds,
} from "../../workflows/messages.js";
import type { serveEndpoint } from "../../workflows/serve-endpoint.js";
import { aFleetName, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { type Activities, createFakes, type Fakes } from "./fakes.js";

// A low mark, so that a test reaches continue-as-new with dozens of signals and not thousands.
const temporal = useTemporal([
  "--dynamic-config-value",
  "limit.historyCount.suggestContinueAsNew=80",
]);

const aPublication = (customerKey: string, version = 1): Publication => ({
  customerKey,
  version,
  releaseWorkflowId: `release/${customerKey}/${version}`,
});

/** What the workflow had its activities tell, by `<customer>/<version>`. */
class Outcomes {
  readonly told = new Map<string, string[]>();
  private changed: (() => void)[] = [];

  add(publications: readonly Publication[], outcome: string): void {
    for (const { customerKey, version } of publications) {
      const key = `${customerKey}/${version}`;
      this.told.set(key, [...(this.told.get(key) ?? []), outcome]);
    }
    for (const wake of this.changed.splice(0)) wake();
  }

  async reach(count: number): Promise<Record<string, string[]>> {
    while (this.told.size < count) await new Promise<void>((resolve) => this.changed.push(resolve));
    return Object.fromEntries(this.told);
  }
}

interface Opened {
  readonly fleet: string;
  readonly fakes: Fakes;
  readonly outcomes: Outcomes;
  /** As requestPublication does: starts the workflow unless it runs. */
  ask(...publications: Publication[]): Promise<void>;
  handle(): WorkflowHandle<typeof serveEndpoint>;
}

async function openEndpoint(
  activities: Partial<Activities> = {},
  changes: Partial<Pace> = {},
): Promise<Opened> {
  const outcomes = new Outcomes();
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {
    activities: {
      verifyAndPoint: async ({ publications }) => {
        outcomes.add(publications, "serving");
        return { refused: [] };
      },
      rejectPublications: async ({ publications, because }) => outcomes.add(publications, because),
      ...activities,
    },
  });
  const { taskQueue } = await temporal.worker(fakes.activities);
  const fleet = aFleetName();
  const workflowId = workflowIds.serveEndpoint(fleet, "sandbox");
  const input: ServeEndpointInput = { fleet, stage: "sandbox", pace: { ...testPace, ...changes } };
  const { workflow } = temporal.client();
  return {
    fleet,
    fakes,
    outcomes,
    ask: async (...publications) => {
      for (const publication of publications)
        await workflow.signalWithStart<typeof serveEndpoint, [Publication]>("serveEndpoint", {
          taskQueue,
          workflowId,
          args: [input],
          signal: publish,
          signalArgs: [publication],
        });
    },
    handle: () => workflow.getHandle<typeof serveEndpoint>(workflowId),
  };
}

const versionsIn = (inputs: readonly unknown[]): unknown[] =>
  inputs.map((input) =>
    typeof input === "object" && input !== null && "publications" in input
      ? input.publications
      : input,
  );

describe("publications", () => {
  test("that arrive together share one pass over the endpoint", async () => {
    const endpoint = await openEndpoint({}, { collectSeconds: 1 });
    temporal.keep("serve-endpoint-batch", endpoint.handle().workflowId);
    await endpoint.ask(aPublication("a"), aPublication("b"), aPublication("c"));

    expect(await endpoint.outcomes.reach(3)).toEqual({
      "a/1": ["serving"],
      "b/1": ["serving"],
      "c/1": ["serving"],
    });
    expect(endpoint.fakes.calls.map((call) => call.name)).toEqual([
      "copyArtifacts",
      "ensureEndpoint",
      "verifyAndPoint",
    ]);
  });

  test("of one customer: the newest serves, and the older ones are told so", async () => {
    const endpoint = await openEndpoint({}, { collectSeconds: 1 });
    temporal.keep("serve-endpoint-superseded", endpoint.handle().workflowId);
    await endpoint.ask(aPublication("a", 2), aPublication("a", 3), aPublication("a", 1));
    await endpoint.ask(aPublication("a", 3)); // Asked twice is one wish.

    expect(await endpoint.outcomes.reach(3)).toEqual({
      "a/1": ["a newer version took its place"],
      "a/2": ["a newer version took its place"],
      "a/3": ["serving"],
    });
  });

  test("that come while a batch is published go into the next one", async () => {
    const endpoint: Opened = await openEndpoint({
      ensureEndpoint: async () => {
        if (endpoint.fakes.named("ensureEndpoint").length === 1)
          await endpoint.ask(aPublication("a", 2), aPublication("b", 1));
        return { endpointName: "e" };
      },
    });
    await endpoint.ask(aPublication("a", 1));

    // Version 1 was in the making when 2 came: it did serve, for a moment.
    expect(await endpoint.outcomes.reach(3)).toEqual({
      "a/1": ["serving"],
      "a/2": ["serving"],
      "b/1": ["serving"],
    });
    expect(versionsIn(endpoint.fakes.named("verifyAndPoint"))).toMatchObject([
      [{ customerKey: "a", version: 1 }],
      [
        { customerKey: "a", version: 2 },
        { customerKey: "b", version: 1 },
      ],
    ]);
  });
});

describe("a fault", () => {
  const broken = async (): Promise<never> => {
    throw ApplicationFailure.nonRetryable(
      "UpdateEndpoint rolled back: no capacity",
      "EndpointFailed",
    );
  };

  test("of one customer's artifact leaves the others alone", async () => {
    const endpoint: Opened = await openEndpoint(
      {
        // Tells its rejections itself, as the real activity does.
        copyArtifacts: async ({ publications }) => {
          const rejected = publications.filter((one) => one.customerKey === "a");
          endpoint.outcomes.add(rejected, "its artifact is gone");
          const because = "its artifact is gone";
          return { rejected: rejected.map((one) => ({ ...one, because })), overwritten: [] };
        },
      },
      { collectSeconds: 1 },
    );
    await endpoint.ask(aPublication("a"), aPublication("b"));

    expect(await endpoint.outcomes.reach(2)).toEqual({
      "a/1": ["its artifact is gone"],
      "b/1": ["serving"],
    });
  });

  test("of the endpoint is told to every release of the batch, and the next batch tries again", async () => {
    const endpoint: Opened = await openEndpoint(
      {
        ensureEndpoint: async () =>
          endpoint.fakes.named("ensureEndpoint").length === 1 ? broken() : { endpointName: "e" },
      },
      { collectSeconds: 1 },
    );
    temporal.keep("serve-endpoint-failed", endpoint.handle().workflowId);
    await endpoint.ask(aPublication("a"), aPublication("b"));
    await endpoint.outcomes.reach(2);
    await endpoint.ask(aPublication("c"));

    expect(await endpoint.outcomes.reach(3)).toEqual({
      "a/1": ["UpdateEndpoint rolled back: no capacity"],
      "b/1": ["UpdateEndpoint rolled back: no capacity"],
      "c/1": ["serving"],
    });
  });
});

describe("no publication is lost", () => {
  test("when the workflow continues as new", async () => {
    const endpoint = await openEndpoint();
    const customers = Array.from({ length: 150 }, (_none, index) => `c${index}`);
    await endpoint.ask(aPublication("first"));
    const first = await endpoint.handle().describe();
    await Promise.all(customers.map((customer) => endpoint.ask(aPublication(customer))));

    const told = await endpoint.outcomes.reach(151);
    expect(Object.values(told).every((outcomes) => outcomes.join() === "serving")).toBe(true);
    expect((await endpoint.handle().describe()).runId).not.toBe(first.runId);
  });

  test("that continue-as-new carries on, superseded ones included", async () => {
    const endpoint = await openEndpoint();
    const { taskQueue } = await temporal.worker(endpoint.fakes.activities);
    const workflowId = workflowIds.serveEndpoint(endpoint.fleet, "other");
    const wanted = [aPublication("a", 1), aPublication("a", 2), aPublication("b", 1)];
    await temporal.client().workflow.start<typeof serveEndpoint>("serveEndpoint", {
      taskQueue,
      workflowId,
      args: [{ fleet: endpoint.fleet, stage: "other", pace: testPace, wanted }],
    });

    expect(await endpoint.outcomes.reach(3)).toEqual({
      "a/1": ["a newer version took its place"],
      "a/2": ["serving"],
      "b/1": ["serving"],
    });
  });

  test("when it comes as the idle workflow ends", async () => {
    const endpoint = await openEndpoint({}, { idleSeconds: 0.01, collectSeconds: 0.01 });
    const customers = Array.from({ length: 30 }, (_none, index) => `c${index}`);
    for (const customer of customers) await endpoint.ask(aPublication(customer));

    const told = await endpoint.outcomes.reach(30);
    expect(Object.values(told).every((outcomes) => outcomes.join() === "serving")).toBe(true);
    await endpoint.handle().result();
  });

  test("when the workflow is cancelled: a batch is finished, the rest is told", async () => {
    const endpoint: Opened = await openEndpoint({
      ensureEndpoint: async () => {
        await endpoint.ask(aPublication("b"));
        await endpoint.handle().cancel();
        return { endpointName: "e" };
      },
    });
    temporal.keep("serve-endpoint-cancelled", endpoint.handle().workflowId);
    await endpoint.ask(aPublication("a"));

    expect(await endpoint.outcomes.reach(2)).toEqual({
      "a/1": ["serving"],
      "b/1": ["the endpoint's workflow was cancelled"],
    });
    await expect(endpoint.handle().result()).rejects.toThrow();
  });
});
