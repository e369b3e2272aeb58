/** Prices, which instances a job ran on, who bears a shared job's cost, and when a budget is reached. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assertBudgetPriced, budgetRefusal, dollars } from "../../fleet/cost-budget.js";
import { estimateTraining } from "../../fleet/cost.js";
import { endpointCosts, sumOfEndpoints } from "../../fleet/endpoint-cost.js";
import { shareCost } from "../../fleet/cost-shares.js";
import { budgetSchema, pricesSchema } from "../../fleet/budget.schema.js";
import { instancesOf } from "../../fleet/instances.js";
import { priceOf } from "../../fleet/prices.js";

describe("the price of an instance", () => {
  test("is the region's list price, with its source and year", () => {
    expect(priceOf("ml.m5.large", { region: "us-east-1" })).toEqual({
      usdPerHour: 0.115,
      source: "list price of us-east-1, 2025",
    });
  });

  test("is what the fleet file says, wherever that is", () => {
    const prices = { "ml.m5.large": 0.128 };
    expect(priceOf("ml.m5.large", { region: "eu-west-1", prices })).toEqual({
      usdPerHour: 0.128,
      source: "fleet file",
    });
  });

  test.each([
    ["another region", "ml.m5.large", "eu-west-1"],
    ["an unknown type", "ml.new.large", "us-east-1"],
  ])("is not guessed for %s", (_title, type, region) => {
    expect(priceOf(type, { region })).toBeNull();
  });
});

describe("the endpoints of a fleet", () => {
  const endpoint = {
    kind: "multi-model",
    instanceType: "ml.m5.xlarge",
    instances: 1,
    naming: "versioned",
  } as const;
  const account = "111111111111";
  const one = () => 1;

  test("cost what each stage has in place of the fleet's instances", () => {
    const stages = [
      { name: "sandbox", account, instanceType: "ml.t2.medium" },
      { name: "qa", account },
      { name: "prod", account, instances: 3 },
    ];
    const costs = endpointCosts({ endpoint, stages }, { endpoints: one });
    expect(costs).toEqual([
      { stage: "sandbox", instanceType: "ml.t2.medium", instances: 1, usdPerMonth: 40.88 },
      { stage: "qa", instanceType: "ml.m5.xlarge", instances: 1, usdPerMonth: 167.9 },
      { stage: "prod", instanceType: "ml.m5.xlarge", instances: 3, usdPerMonth: 503.7 },
    ]);
    expect(sumOfEndpoints(costs)).toBe(712.48);
  });

  test("are priced in the stage's own region: one whose price is not known makes the sum unknown", () => {
    const stages = [
      { name: "sandbox", account },
      { name: "prod", account, region: "eu-central-1" },
    ];
    const costs = endpointCosts({ endpoint, stages }, { endpoints: one });
    expect(costs.map(({ usdPerMonth }) => usdPerMonth)).toEqual([167.9, null]);
    expect(sumOfEndpoints(costs)).toBeNull();
    const prices = { "ml.m5.xlarge": 0.25 };
    const priced = endpointCosts({ endpoint, stages }, { endpoints: one, prices });
    expect(sumOfEndpoints(priced)).toBe(365);
  });

  test("are one for each customer where customers have their own, as many as the stage serves", () => {
    const dedicated = { kind: "dedicated", instanceType: "ml.m5.xlarge", instances: 1 } as const;
    const stages = [
      { name: "sandbox", account },
      { name: "prod", account, instances: 2 },
    ];
    const costs = endpointCosts(
      { endpoint: dedicated, stages },
      { endpoints: (stage) => (stage === "prod" ? 2 : 5) },
    );
    expect(costs).toMatchObject([{ instances: 5 }, { instances: 4 }]);
  });

  test("cost nothing by the month when they are serverless", () => {
    const serverless = { kind: "serverless", memorySizeInMb: 2048, maxConcurrency: 5 } as const;
    const costs = endpointCosts(
      { endpoint: serverless, stages: [{ name: "prod", account }] },
      { endpoints: one },
    );
    expect([costs, sumOfEndpoints(costs)]).toEqual([[], null]);
  });
});

describe("the instances of a job", () => {
  const five = { InstanceType: "ml.m5.large", InstanceCount: 5 };
  test.each([
    ["training", { ResourceConfig: five }],
    ["tuning", { TrainingJobDefinition: { ResourceConfig: five } }],
    ["processing", { ProcessingResources: { ClusterConfig: five } }],
    ["transform", { TransformResources: five }],
  ] as const)("of a %s job stand in its request", (kind, request) => {
    expect(instancesOf(kind, request)).toEqual({ instanceType: "ml.m5.large", instances: 5 });
  });

  test("are unknown where the request does not tell", () => {
    expect(instancesOf("training", { ResourceConfig: null })).toBeNull();
  });
});

describe("a shared job's cost", () => {
  const members = (...seconds: (number | null)[]) =>
    seconds.map((one, index) => ({ customerKey: `c${index}`, seconds: one }));

  test("is borne in proportion to the seconds, when all are told", () => {
    const { by, shares } = shareCost(10, members(1, 3));
    expect([by, ...shares.values()]).toEqual(["seconds", 2.5, 7.5]);
  });

  test.each([
    ["one customer's are not told", members(1, null)],
    ["all of them are zero", members(0, 0)],
  ])("is borne equally when %s", (_title, of) => {
    const { by, shares } = shareCost(10, of);
    expect([by, ...shares.values()]).toEqual(["equal", 5, 5]);
  });

  test("adds up to the whole, whatever is told", () => {
    const second = fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }));
    const given = fc.array(second, { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e5, noNaN: true }), given, (usd, seconds) => {
        const shares = [...shareCost(usd, members(...seconds)).shares.values()];
        const sum = shares.reduce((total, one) => total + one, 0);
        expect(Math.abs(sum - usd)).toBeLessThanOrEqual(1e-9 * Math.max(1, usd));
        expect(Math.min(...shares)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe("a cycle's budget", () => {
  test.each([
    ["nothing spent", { spentUsd: 0, runningUsd: 0, nextUsd: 1 }, true],
    ["just within", { spentUsd: 5, runningUsd: 4, nextUsd: 1 }, true],
    ["past it with the next", { spentUsd: 5, runningUsd: 4, nextUsd: 1.01 }, false],
    ["past it already", { spentUsd: 11, runningUsd: 0, nextUsd: 0 }, false],
    ["less than one job", { spentUsd: 0, runningUsd: 0, nextUsd: 10.5 }, false],
  ])("%s", (_title, spending, starts) => {
    expect(budgetRefusal({ perCycleUsd: 10 }, spending) === null).toBe(starts);
  });

  test("says what is allowed, spent, running and asked for", () => {
    const spending = { spentUsd: 8, runningUsd: 1.5, nextUsd: 0.004 };
    expect(budgetRefusal({ perCycleUsd: 9.5 }, spending)).toBe(
      "budget.perCycleUsd allows $9.50: $8.00 are spent, what runs comes to about $1.50, and another job to about $0.0040",
    );
  });

  test("cannot be declared over instances without a price", () => {
    const spec = {
      budget: { perCycleUsd: 1 },
      training: { instanceType: "ml.m5.large" },
      preparation: { instanceType: "ml.new.large" },
    };
    expect(() => assertBudgetPriced(spec, "us-east-1")).toThrow(
      "budget.perCycleUsd cannot be kept: the price of preparation.instanceType ml.new.large in us-east-1 is not known",
    );
    const prices = { "ml.new.large": 1 };
    expect(() => assertBudgetPriced({ ...spec, prices }, "us-east-1")).not.toThrow();
    expect(() => assertBudgetPriced({ ...spec, budget: undefined }, "us-east-1")).not.toThrow();
  });

  test.each([
    ["a budget of nothing", budgetSchema, { perCycleUsd: 0 }],
    ["a budget below nothing", budgetSchema, { perCycleUsd: -1 }],
    ["a budget by another name", budgetSchema, { perCycle: 1 }],
    ["a price of nothing", pricesSchema, { "ml.m5.large": 0 }],
    ["a price of no instance type", pricesSchema, { m5: 1 }],
  ])("%s is refused", (_title, schema, value) => {
    expect(schema.safeParse(value).success).toBe(false);
  });

  test("is told to the cent, and small amounts as they are", () => {
    expect([0, 0.00012, 0.01, 12.345].map(dollars)).toEqual([
      "$0.00",
      "$0.00012",
      "$0.01",
      "$12.35",
    ]);
  });
});

describe("the estimate of a cycle's training", () => {
  const spec = { training: { kind: "script", instanceType: "ml.m5.large" } };
  test("is a job for each fit, by the seconds that jobs took before", () => {
    const o = { customers: 10, fits: 100, region: "us-east-1", secondsPerJob: 360 };
    expect(estimateTraining(spec, o)).toEqual({ usd: 1.15, trainingJobs: 100 });
  });

  test("is one job for a sharded fleet", () => {
    const sharded = { training: { kind: "sharded", instanceType: "ml.m5.large", instances: 2 } };
    const o = { customers: 1000, fits: 1000, region: "us-east-1" };
    expect(estimateTraining(sharded, o)).toEqual({ usd: 0.02, trainingJobs: 1 });
  });

  test("is nothing when nobody is trained, and missing without a price", () => {
    const o = { customers: 0, fits: 0, region: "eu-west-1" };
    expect(estimateTraining(spec, o)).toEqual({ usd: 0, trainingJobs: 0 });
    expect(estimateTraining(spec, { ...o, customers: 1, fits: 1 }).usd).toBeNull();
  });
});
