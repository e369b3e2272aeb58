/** What a running worker shows to Prometheus and sends to a collector, and what dashboard and alerts make of it. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { json } from "node:stream/consumers";
import { parser } from "@prometheus-io/lezer-promql";
import { Client, Connection } from "@temporalio/client";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { outcomeOf } from "../../worker/observe-aws.js";
import { startClientTracing, type ClientTracing } from "../../client/tracing.js";
import { GAUGES, gaugeBoard } from "../../worker/metrics.js";
import { isTracingWanted } from "../../worker/tracing.js";
import { readTelemetrySettings } from "../../worker/telemetry-settings.js";
import { workflowIds } from "../../workflows/messages.js";
import { noopFleet } from "../activities/noop-fleet.js";
import { startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const dashboard = z
  .object({
    panels: z.array(
      z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })) }),
    ),
  })
  .parse(JSON.parse(readFileSync("deploy/grafana/modelfleet.json", "utf8")));

const alerts = z
  .object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.object({
            alert: z.string(),
            expr: z.string(),
            labels: z.object({ severity: z.enum(["page", "ticket"]) }),
            annotations: z.object({ summary: z.string(), runbook_url: z.string() }),
          }),
        ),
      }),
    ),
  })
  .parse(parse(readFileSync("deploy/prometheus/alerts.yaml", "utf8")))
  .groups.flatMap((group) => group.rules);

const expressions = [
  ...dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({ where: `panel "${title}"`, expr: withoutVariables(expr) })),
  ),
  ...alerts.map(({ alert, expr }) => ({ where: `alert ${alert}`, expr })),
];

/** Grafana puts these in before Prometheus sees them. */
function withoutVariables(expr: string): string {
  return expr.replaceAll("$__rate_interval", "1m").replaceAll("$fleet", ".*");
}

interface Read {
  readonly metrics: readonly string[];
  readonly errors: number;
}

function readPromql(expr: string): Read {
  const metrics: string[] = [];
  let errors = 0;
  parser.parse(expr).iterate({
    enter: (node) => {
      if (node.type.isError) errors++;
      if (node.name === "VectorSelector") {
        const [name] = /^[a-zA-Z_:][\w:]*/.exec(expr.slice(node.from, node.to)) ?? [];
        if (name !== undefined) metrics.push(name);
      }
    },
  });
  return { metrics, errors };
}

describe("the queries of dashboard and alerts", () => {
  test("are PromQL, and a broken one would be noticed", () => {
    for (const { where, expr } of expressions) {
      const { metrics, errors } = readPromql(expr);
      expect(errors, `${where}: ${expr}`).toBe(0);
      expect(metrics.length, `${where}: ${expr}`).toBeGreaterThan(0);
    }
    expect(readPromql("sum by (a (b)").errors).toBeGreaterThan(0);
  });

  test("of an alert lead to a section of the runbook that bears its name", () => {
    const sections = readFileSync("docs/runbook.md", "utf8").match(/^### \w+$/gm);
    expect(alerts.length).toBeGreaterThan(10);
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    for (const { alert, annotations } of alerts) {
      expect(sections, alert).toContain(`### ${alert}`);
      expect(annotations.runbook_url).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
    }
    const named = sections?.map((title) => title.slice(4)).filter((one) => /^Modelfleet/.test(one));
    expect(named?.sort(), "a section without an alert").toEqual(
      alerts.map(({ alert }) => alert).sort(),
    );
  });
});

test("every metric of ours stands in the documentation, and no other", () => {
  const page = readFileSync("docs/observe.md", "utf8");
  const told = [...page.matchAll(/^\| `(modelfleet_\w+)`/gm)].map(([, name]) => name);
  expect(told.sort()).toEqual(
    [
      ...Object.values(GAUGES).map(([name]) => name),
      "modelfleet_aws_calls_total",
      "modelfleet_aws_call_seconds",
    ].sort(),
  );
});

test("a label that was shown and is gone is set to 0", () => {
  const set: [string, number, object][] = [];
  const meter = {
    createGauge: (name: string) => ({
      set: (value: number, tags: object) => set.push([name, value, tags]),
    }),
  };
  const show = gaugeBoard(meter as never);
  const reading = (state: string) => ({
    ...{ gauge: "customers" as const, labels: { fleet: "f", state }, value: 3 },
  });
  show([reading("training"), reading("failed")]);
  set.length = 0;
  show([reading("failed")]);
  expect(set).toEqual([
    ["modelfleet_customers", 0, { fleet: "f", state: "training" }],
    ["modelfleet_customers", 3, { fleet: "f", state: "failed" }],
  ]);
});

test.each([
  ["ThrottlingException", "throttled"],
  ["SlowDown", "throttled"],
  ["AccessDeniedException", "denied"],
  ["ExpiredTokenException", "denied"],
  ["ValidationException", "failed"],
])("a call that ends with %s counts as %s", (name, outcome) => {
  expect(outcomeOf(Object.assign(new Error("no"), { name }))).toBe(outcome);
});

test.each([
  [undefined, null],
  ["", null],
  ["9464", "127.0.0.1:9464"],
  ["0.0.0.0:9464", "0.0.0.0:9464"],
  ["[::1]:9464", "[::1]:9464"],
])("MODELFLEET_METRICS_ADDRESS=%s binds to %s", (value, address) => {
  expect(readTelemetrySettings({ MODELFLEET_METRICS_ADDRESS: value })).toEqual({
    metricsAddress: address,
  });
});

test.each(["metrics", "99999", "localhost:9464", "9464/metrics"])(
  "MODELFLEET_METRICS_ADDRESS=%s is refused with what would be right",
  (value) => {
    expect(() => readTelemetrySettings({ MODELFLEET_METRICS_ADDRESS: value })).toThrow(
      /MODELFLEET_METRICS_ADDRESS must be a port such as 9464/,
    );
  },
);

test.each([
  [{}, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "" }, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318" }, true],
  [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://collector:4318/v1/traces" }, true],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", OTEL_SDK_DISABLED: "true" }, false],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: "http://c:4318", OTEL_TRACES_EXPORTER: "none" }, false],
])("with %j tracing is on: %s", async (environment, on) => {
  expect(isTracingWanted(environment)).toBe(on);
  const { interceptors, close } = await startClientTracing(environment);
  expect(interceptors).toHaveLength(on ? 1 : 0);
  await close();
});

const attributeSchema = z.object({ key: z.string(), value: z.looseObject({}) });
const spanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  attributes: z.array(attributeSchema),
});
type Span = z.infer<typeof spanSchema>;
const exportSchema = z.object({
  resourceSpans: z.array(
    z.object({ scopeSpans: z.array(z.object({ spans: z.array(spanSchema) })) }),
  ),
});

/** Takes what an exporter sends, as a collector would. */
async function startCollector(spans: Span[]): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      for (const { scopeSpans } of exportSchema.parse(body).resourceSpans)
        for (const one of scopeSpans) spans.push(...one.spans);
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { server, url: `http://127.0.0.1:${port}` };
}

describe("a running worker", () => {
  const metricsPort = 19918;
  const spans: Span[] = [];
  let collector: Server;
  let tracing: ClientTracing;
  let stack: TestStack;
  let worker: RunningWorker;
  let temporal: Client;

  beforeAll(async () => {
    stack = await startTestStack({ basePort: 19890 });
    const { server, url } = await startCollector(spans);
    collector = server;
    worker = await startWorkerProcess(stack, {
      MODELFLEET_METRICS_ADDRESS: String(metricsPort),
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_BSP_SCHEDULE_DELAY: "200",
    });
    // The exporter reads the standard variables by itself.
    vi.stubEnv("OTEL_EXPORTER_OTLP_ENDPOINT", url);
    tracing = await startClientTracing(process.env);
    const connection = await Connection.connect({
      address: stack.environment.TEMPORAL_ADDRESS ?? "",
    });
    temporal = new Client({
      connection,
      namespace: stack.environment.TEMPORAL_NAMESPACE ?? "",
      interceptors: { workflow: [...tracing.interceptors] },
    });
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await tracing.close();
    collector.close();
    await temporal.connection.close();
    await worker.kill();
    await stack.close();
  });

  const start = (workflow: string, workflowId: string, ...args: unknown[]) =>
    temporal.workflow.start(workflow, { workflowId, taskQueue: "modelfleet", args });
  const scrape = async () => (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();

  test("shows every metric that dashboard and alerts name", async () => {
    const good = { ...noopFleet({ name: "seen", customers: 2 }), budget: { perCycleUsd: 5 } };
    const cycle = await start(
      ...(["retrainFleet", workflowIds.retrainFleet("seen", "2013-07-01")] as const),
      { spec: good, at: "2013-07-01" },
    );
    await cycle.result();
    // What fails is shown when it has happened: an activity, and a task of a workflow that is in no bundle.
    const bad = noopFleet({ name: "bad", source: { query: "select :floor, :ceiling" } });
    const failed = await start(
      ...(["retrainFleet", workflowIds.retrainFleet("bad", "2013-07-01")] as const),
      { spec: bad, at: "2013-07-01" },
    );
    await expect(failed.result()).rejects.toThrow();
    const unknown = await start("noSuchWorkflow", "no-such-workflow");

    const wanted = new Set(
      expressions.flatMap(({ expr }) => readPromql(expr).metrics).filter((name) => name !== "up"),
    );
    const missing = async () => {
      const names = new Set(
        (await scrape()).split("\n").flatMap((line) => /^[a-z]\w*/.exec(line)?.[0] ?? []),
      );
      return [...wanted].filter((name) => !names.has(name));
    };
    await expect.poll(missing, { timeout: 60_000, interval: 500 }).toEqual([]);
    await unknown.terminate();

    // Until the next look at the ledger.
    await expect
      .poll(scrape, { timeout: 60_000, interval: 500 })
      .toMatch(/modelfleet_cycle_state\{fleet="bad",state="failed"[^}]*\} 1\n/);
    const text = await scrape();
    expect(text).toMatch(/modelfleet_ledger_up\{?[^}]*\}? 1\n/);
    expect(text).toMatch(/modelfleet_cycle_budget_usd\{fleet="seen"[^}]*\} 5\n/);
    expect(text).toMatch(
      /modelfleet_aws_calls_total\{operation="CreateTrainingJob",outcome="ok",service="SageMaker"[^}]*\} 2\n/,
    );
  });

  test("shows that a cycle stopped for its budget, and trains the rest once that is raised", async () => {
    const spec = noopFleet({ name: "dear", customers: 2 });
    const run = (perCycleUsd: number) =>
      start(...(["retrainFleet", workflowIds.retrainFleet("dear", "2013-07-01")] as const), {
        spec: { ...spec, budget: { perCycleUsd } },
        at: "2013-07-01",
      });
    // A job that nobody has seen the like of is expected to take two minutes: $0.0038.
    await expect((await run(0.003)).result()).rejects.toMatchObject({
      cause: {
        type: "BudgetExceeded",
        message: expect.stringMatching(
          /^2 of 2 customers not begun with: budget\.perCycleUsd allows \$0\.0030/,
        ) as unknown,
      },
    });
    await expect
      .poll(scrape, { timeout: 60_000, interval: 500 })
      .toMatch(/modelfleet_cycle_over_budget\{fleet="dear"[^}]*\} 1\n/);
    expect(await (await run(5)).result()).toMatchObject({ registered: 2, skipped: 0, failed: 0 });
  });

  test("makes one trace of a cycle, from the client's start to the calls of SageMaker", async () => {
    const cycle = await start(
      ...(["retrainFleet", workflowIds.retrainFleet("traced", "2013-07-01")] as const),
      { spec: noopFleet({ name: "traced" }), at: "2013-07-01" },
    );
    await cycle.result();
    const named = (name: string) => spans.filter((span) => span.name === name);
    const starts = () =>
      named("StartWorkflow:retrainFleet").filter((span) => told(span).includes("traced"));
    await expect.poll(() => starts().length).toBe(1);
    const [begun] = starts();
    const inTrace = (name: string) => named(name).filter((span) => span.traceId === begun?.traceId);
    await expect.poll(() => inTrace("SageMaker.CreateModelPackage").length).toBe(1);

    // Of the cycle itself, and of a child of its child.
    for (const name of ["openCycle", "exportDataset", "startTrainingJob", "registerModel"])
      expect(inTrace(`RunActivity:${name}`)[0]?.parentSpanId, name).toBe(begun?.spanId);
    const [startJob] = inTrace("RunActivity:startTrainingJob");
    expect(inTrace("SageMaker.CreateTrainingJob")).toMatchObject([
      { parentSpanId: startJob?.spanId },
    ]);
    expect(startJob?.attributes).toContainEqual({
      key: "modelfleet.cycle",
      value: { stringValue: "2013-07-01" },
    });
    // What nobody began, such as the watcher, is in a trace of its own.
    expect(inTrace("RunActivity:watchJobs")).toEqual([]);

    const secrets = [stack.environment.AWS_SECRET_ACCESS_KEY ?? "", "postgres://", "select "];
    for (const span of spans)
      for (const secret of secrets) expect(told(span), span.name).not.toContain(secret);
    expect(new Set(spans.flatMap(({ attributes }) => attributes.map(({ key }) => key)))).toEqual(
      new Set([
        ...["temporal.workflow.type", "temporal.workflow.id", "temporal.run.id"],
        ...["temporal.activity.type", "temporal.activity.attempt"],
        ...["modelfleet.fleet", "modelfleet.cycle", "modelfleet.customer"],
        ...["rpc.system", "rpc.service", "rpc.method", "error.type"],
      ]),
    );
  });
});

const told = (span: Span): string => JSON.stringify(span.attributes);
