/** The metrics of endpoints, read as CloudWatch's clients read them. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import {
  CloudWatchClient,
  GetMetricDataCommand,
  GetMetricStatisticsCommand,
  ListMetricsCommand,
  PutMetricDataCommand,
} from "@aws-sdk/client-cloudwatch";
import type {
  GetMetricDataCommandInput,
  GetMetricStatisticsCommandInput,
  MetricDataQuery,
  Statistic,
} from "@aws-sdk/client-cloudwatch";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import pg from "pg";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { createMetricStore } from "../../local/sagemaker/metric-store.js";
import { account, otherKeys, region, runtimeClient, sagemakerClient } from "./cloud.js";
import { setting, useCloud, useServer, userKeys } from "./cloud.js";
import {
  anEndpoint,
  ask,
  aMultiModelContainer,
  createModel,
  onInstances,
} from "./hosting-models.js";

const cloud = useCloud(19190);
const url = useServer(cloud);
let client: SageMakerClient;
let watch: CloudWatchClient;
let endpoint: string;

/** Six requests to two models: two of them cold, one of them failing. */
beforeAll(async () => {
  client = sagemakerClient(url());
  watch = watchClient();
  const many = await aMultiModelContainer(cloud(), { "a.tar.gz": "A", "b.tar.gz": "B" });
  const model = await createModel(client, { PrimaryContainer: many });
  endpoint = await anEndpoint(client, [{ ...onInstances(model), InitialInstanceCount: 2 }]);
  for (const TargetModel of ["a.tar.gz", "a.tar.gz", "a.tar.gz", "b.tar.gz", "b.tar.gz"])
    await ask(runtimeClient(url()), endpoint, "1", { TargetModel });
  const failing = ask(runtimeClient(url()), endpoint, "teapot", { TargetModel: "a.tar.gz" });
  await expect(failing).rejects.toMatchObject({ name: "ModelError" });
});

const watchClient = (credentials = userKeys) =>
  new CloudWatchClient({ endpoint: url(), region, credentials, maxAttempts: 1 });

const hourMs = 60 * 60 * 1000;
const aroundNow = () => ({
  StartTime: new Date(Date.now() - hourMs),
  EndTime: new Date(Date.now() + hourMs),
});
const dimensions = (name = endpoint) => [
  { Name: "EndpointName", Value: name },
  { Name: "VariantName", Value: "all" },
];

function aQuery(metric: string, stat: string, namespace = "AWS/SageMaker"): MetricDataQuery {
  const Metric = { Namespace: namespace, MetricName: metric, Dimensions: dimensions() };
  const Id = `${metric}_${stat}`.replace(/^./, (letter) => letter.toLowerCase());
  return { Id, MetricStat: { Metric, Period: 3600, Stat: stat } };
}

const data = (queries: MetricDataQuery[], changes: Partial<GetMetricDataCommandInput> = {}) =>
  watch.send(new GetMetricDataCommand({ MetricDataQueries: queries, ...aroundNow(), ...changes }));

/** The test may run across the end of an hour: then there are two values, and a sum is their sum. */
async function sumOf(metric: string, stat = "Sum", namespace?: string): Promise<number> {
  const { MetricDataResults = [] } = await data([aQuery(metric, stat, namespace)]);
  return (MetricDataResults[0]?.Values ?? []).reduce((sum, value) => sum + value, 0);
}

const statistics = (changes: Partial<GetMetricStatisticsCommandInput>) =>
  watch.send(
    new GetMetricStatisticsCommand({
      ...{ Namespace: "AWS/SageMaker", MetricName: "Invocations", Dimensions: dimensions() },
      ...{ ...aroundNow(), Period: 3600 },
      ...changes,
    }),
  );

describe("GetMetricData", () => {
  test("counts invocations and errors as AWS does", async () => {
    expect(await sumOf("Invocations")).toBe(6);
    expect(await sumOf("InvocationsPerInstance")).toBe(3);
    expect(await sumOf("Invocation4XXErrors")).toBe(1);
    expect(await sumOf("Invocation4XXErrors", "SampleCount")).toBe(6);
    expect(await sumOf("Invocation5XXErrors")).toBe(0);
    expect(await sumOf("InvocationModelErrors")).toBe(1);
    expect(await sumOf("ModelLatency", "SampleCount")).toBe(6);
    expect(await sumOf("ModelLatency")).toBeGreaterThan(0);
    expect(await sumOf("OverheadLatency")).toBeGreaterThan(0);
  });

  test("tells of a multi-model container's cache", async () => {
    expect(await sumOf("ModelCacheHit")).toBe(4);
    expect(await sumOf("ModelCacheHit", "SampleCount")).toBe(6);
    for (const metric of ["ModelLoadingWaitTime", "ModelDownloadingTime", "ModelLoadingTime"])
      expect([metric, await sumOf(metric, "SampleCount")]).toEqual([metric, 2]);
    expect(await sumOf("ModelUnloadingTime", "SampleCount")).toBe(0);
    const namespace = "/aws/sagemaker/Endpoints";
    expect(await sumOf("LoadedModelCount", "Maximum", namespace)).toBeGreaterThanOrEqual(2);
    await vi.waitFor(
      async () => {
        for (const metric of ["MemoryUtilization", "DiskUtilization"])
          expect(await sumOf(metric, "Maximum", namespace)).toBeGreaterThan(0);
        expect(await sumOf("CPUUtilization", "SampleCount", namespace)).toBeGreaterThan(0);
      },
      { timeout: 60_000, interval: 500 },
    );
  });

  test("answers queries in their order, with labels, newest value first unless asked otherwise", async () => {
    const nobody = { ...aQuery("Invocations", "Sum", "AWS/Nothing"), Id: "nobody" };
    const labelled = { ...aQuery("Invocations", "Sum"), Id: "mine", Label: "calls" };
    const silent = { ...aQuery("ModelLatency", "p99"), ReturnData: false };
    const { MetricDataResults } = await data([nobody, labelled, silent], {
      ScanBy: "TimestampAscending",
    });
    expect(MetricDataResults).toMatchObject([
      { Id: "nobody", Label: "Invocations", Values: [], StatusCode: "Complete" },
      { Id: "mine", Label: "calls", StatusCode: "Complete" },
    ]);
    const [, mine] = MetricDataResults ?? [];
    expect(mine?.Timestamps?.every((time) => time.getTime() % hourMs === 0)).toBe(true);
  });

  test("hands out pages of MaxDatapoints", async () => {
    const queries = [aQuery("Invocations", "Sum"), aQuery("ModelCacheHit", "Sum")];
    // The range stays the same from page to page, as it must.
    const range = aroundNow();
    const values: number[] = [];
    let NextToken: string | undefined;
    do {
      const page = await data(queries, {
        ...range,
        MaxDatapoints: 1,
        ...(NextToken && { NextToken }),
      });
      expect(page.MetricDataResults).toHaveLength(1);
      values.push(...(page.MetricDataResults?.[0]?.Values ?? []));
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
    expect(values.reduce((sum, value) => sum + value, 0)).toBe(10);
    await expect(data(queries, { NextToken: "nonsense" })).rejects.toMatchObject({
      name: "InvalidNextToken",
    });
  });

  test("shows an account its own metrics only", async () => {
    const other = watchClient(otherKeys);
    const command = new GetMetricDataCommand({
      MetricDataQueries: [aQuery("Invocations", "Sum")],
      ...aroundNow(),
    });
    expect((await other.send(command)).MetricDataResults).toMatchObject([{ Values: [] }]);
    expect((await other.send(new ListMetricsCommand())).Metrics).toEqual([]);
  });

  test.each([
    [
      "an expression",
      () => [{ Id: "rate", Expression: "errors/calls" }],
      /Query rate is an expression \(errors\/calls\): the local CloudWatch reads metrics only/,
    ],
    ["an Id twice", () => [aQuery("Invocations", "Sum"), aQuery("Invocations", "Sum")], /twice/],
    ["a trimmed mean", () => [aQuery("ModelLatency", "tm99")], /"tm99" .* is not offered/],
    [
      "ten seconds",
      () => {
        const query = aQuery("ModelLatency", "Sum");
        const { Metric, Stat } = query.MetricStat ?? {};
        return [{ ...query, MetricStat: { Metric, Stat, Period: 10 } }];
      },
      /Period 10 is not a multiple of 60/,
    ],
    ["nothing", () => [], /1 to 500 queries/],
  ])("refuses %s", async (_what, queries, message) => {
    await expect(data(queries())).rejects.toThrow(message);
  });
});

describe("an endpoint with little memory", () => {
  test("serves more models than fit, and its metrics tell so", async () => {
    const body = JSON.stringify({ endpointMemoryMb: 5 });
    await fetch(`${url()}/_local/faults`, { method: "PUT", body });
    const names = Array.from({ length: 8 }, (_, index) => `${index}.tar.gz`);
    const heavy = "x".repeat(1024 * 1024);
    const many = await aMultiModelContainer(
      cloud(),
      Object.fromEntries(names.map((name) => [name, `${heavy}${name}`])),
    );
    const model = await createModel(client, { PrimaryContainer: many });
    const small = await anEndpoint(client, [onInstances(model)]);
    for (const name of [...names, ...names])
      expect(await ask(runtimeClient(url()), small, "1", { TargetModel: name })).toMatch(
        new RegExp(`x${name}:1$`),
      );
    const ofSmall = (metric: string, stat: string, namespace?: string) => {
      const query = aQuery(metric, stat, namespace);
      const { Metric, ...how } = query.MetricStat ?? {};
      const Dimensions = dimensions(small);
      return { ...query, MetricStat: { ...how, Metric: { ...Metric, Dimensions } } } as never;
    };
    const { MetricDataResults = [] } = await data([
      ofSmall("LoadedModelCount", "Maximum", "/aws/sagemaker/Endpoints"),
      ofSmall("ModelUnloadingTime", "SampleCount"),
      ofSmall("ModelDownloadingTime", "SampleCount"),
    ]);
    const [loaded, unloadings, downloads] = MetricDataResults.map(({ Values }) => Values?.[0] ?? 0);
    expect(loaded).toBeGreaterThan(0);
    expect(loaded).toBeLessThanOrEqual(5);
    expect(unloadings).toBeGreaterThanOrEqual(3);
    expect(downloads).toBe(8);
  });
});

describe("GetMetricStatistics", () => {
  test("gives statistics or percentiles with their unit", async () => {
    const Statistics: Statistic[] = ["Sum", "SampleCount", "Average", "Minimum", "Maximum"];
    const { Label, Datapoints = [] } = await statistics({ Statistics });
    expect(Label).toBe("Invocations");
    expect(Datapoints.reduce((sum, point) => sum + (point.Sum ?? 0), 0)).toBe(6);
    expect(Datapoints[0]).toMatchObject({ Unit: "None", Average: 1, Minimum: 1, Maximum: 1 });
    const MetricName = "ModelLatency";
    const ExtendedStatistics = ["p50", "p99", "p100"];
    const latency = await statistics({ MetricName, ExtendedStatistics });
    const { p50 = 0, p99 = 0, p100 = 0 } = latency.Datapoints?.[0]?.ExtendedStatistics ?? {};
    expect(latency.Datapoints?.[0]?.Unit).toBe("Microseconds");
    expect(p50).toBeGreaterThan(0);
    expect(p99).toBeGreaterThanOrEqual(p50);
    expect(p100).toBeGreaterThanOrEqual(p99);
    const seconds = await statistics({ Statistics: ["Sum"], Unit: "Seconds" });
    expect(seconds.Datapoints).toEqual([]);
  });

  const sum: Statistic[] = ["Sum"];
  test.each([
    ["no statistic", {}, "InvalidParameterCombination", /Exactly one of Statistics and/],
    [
      "too many points",
      { Statistics: sum, Period: 60, StartTime: new Date(Date.now() - 48 * hourMs) },
      "InvalidParameterCombination",
      /exceeds the limit of 1,440/,
    ],
    [
      "an end before the start",
      { Statistics: sum, EndTime: new Date(0) },
      "InvalidParameterValue",
      /StartTime must be less than the parameter EndTime/,
    ],
  ])("refuses %s", async (_what, changes, name, message) => {
    await expect(statistics(changes)).rejects.toMatchObject({
      name: expect.stringContaining(name) as string,
      message: expect.stringMatching(message) as string,
    });
  });
});

describe("ListMetrics", () => {
  test("finds an endpoint's metrics by namespace, name and dimension", async () => {
    const { Metrics = [] } = await watch.send(
      new ListMetricsCommand({
        Namespace: "AWS/SageMaker",
        Dimensions: [{ Name: "EndpointName", Value: endpoint }, { Name: "VariantName" }],
        RecentlyActive: "PT3H",
      }),
    );
    expect(Metrics.map(({ MetricName }) => MetricName)).toEqual([
      "Invocation4XXErrors",
      "Invocation5XXErrors",
      "InvocationModelErrors",
      "Invocations",
      "InvocationsPerInstance",
      "ModelCacheHit",
      "ModelDownloadingTime",
      "ModelLatency",
      "ModelLoadingTime",
      "ModelLoadingWaitTime",
      "OverheadLatency",
    ]);
    expect(Metrics[0]?.Dimensions).toEqual(dimensions());
  });
});

test("what is not offered is named", async () => {
  const put = new PutMetricDataCommand({ Namespace: "mine", MetricData: [] });
  await expect(watch.send(put)).rejects.toMatchObject({
    name: "UnknownOperationException",
    message: expect.stringContaining("offers GetMetricData, GetMetricStatistics, ListM") as string,
  });
});

test("boto3 reads the same", async () => {
  const script = new URL("cloudwatch_client.py", import.meta.url).pathname;
  const settings = JSON.stringify({ url: url(), endpoint, ...userKeys });
  const { stdout } = await promisify(execFile)(setting("MODELFLEET_TEST_PYTHON"), [
    script,
    settings,
  ]);
  expect(JSON.parse(stdout)).toEqual({
    ...{ sum: 6, values: 6, label: "Invocations", refused: "InvalidParameterValue" },
    names: expect.arrayContaining(["Invocations", "LoadedModelCount"]) as string[],
  });
});

test("metrics outlive the process that counted them, and both count in a minute", async () => {
  const db = new pg.Pool({ connectionString: cloud().config.database, max: 2 });
  onTestFinished(() => db.end());
  const scope = { account, region };
  for (const count of [1, 2]) {
    const store = createMetricStore(db);
    for (let call = 0; call < count; call++)
      store.meter(scope, "gone", "v").sample("Invocations", 1);
    store.meter(scope, "gone", "v").gauge("LoadedModelCount", 5 * count);
    store.meter(scope, "gone", "v").gauge("LoadedModelCount", 6 * count);
    await store.settled();
  }
  const minutes = async (namespace: string, name: string) =>
    createMetricStore(db).minutes(
      scope,
      {
        ...{ namespace, name },
        dimensions: [
          { Name: "VariantName", Value: "v" },
          { Name: "EndpointName", Value: "gone" },
        ],
      },
      { from: 0, to: Date.now() },
    );
  const calls = await minutes("AWS/SageMaker", "Invocations");
  expect(calls.reduce((sum, minute) => sum + minute.sum, 0)).toBe(3);
  const gauges = await minutes("/aws/sagemaker/Endpoints", "LoadedModelCount");
  expect(gauges.map(({ count, sum }) => [count, sum]).sort()).toEqual([
    [1, 12],
    [1, 6],
  ]);
});
