/** `npm run bench -- refresh`: clients invoke without pause while models are published, refreshed and withdrawn. */
import { setTimeout as delay } from "node:timers/promises";
import { DescribeEndpointCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { Client, Connection } from "@temporalio/client";
import type pg from "pg";
import { endpointName, type ArtifactNaming } from "../../fleet/names.js";
import {
  DEFAULT_PACE,
  publish,
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
} from "../../workflows/messages.js";
import { startWorker } from "../cycle/worker-process.js";
import { withLedger } from "../ledger.js";
import type { Report } from "../report.js";
import { required, type BenchStack, type Tell } from "../stack.js";
import { formatNumber, percentile, withSpread } from "../statistics.js";
import { POINTER_SECONDS, startClients, until, type Invocation } from "./clients.js";
import { createFleet, customerOf, STAGE, type RefreshFleet } from "./fleet.js";

export interface RefreshOptions {
  readonly clients: number;
  readonly customers: number;
  /** Publications of a new version of every customer, each with one refresh. */
  readonly refreshes: number;
  readonly withdrawals: number;
  /** Refreshes that SageMaker rolls back before they succeed. */
  readonly failures: number;
}

/** On AWS minutes, here long enough for thousands of invocations; the same for both namings. */
const ENDPOINT_START_SECONDS = 4;
const REST_SECONDS = 5;

type Kind = "refresh" | "failed refresh" | "withdrawal";

/** From the order until the ledger said that it was done. Milliseconds of `performance.now()`. */
interface Happening {
  readonly kind: Kind;
  readonly from: number;
  readonly to: number;
  /** Of a withdrawal. */
  readonly left?: { readonly customer: number; readonly version: number };
}

interface Run {
  readonly naming: ArtifactNaming;
  readonly invocations: readonly Invocation[];
  readonly happenings: readonly Happening[];
  /** Endpoint configs that the endpoint has been on. */
  readonly configs: number;
}

export async function benchRefresh(
  stack: BenchStack,
  options: RefreshOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  const runs: Run[] = [];
  for (const naming of ["versioned", "stable"] as const)
    runs.push(await measure(stack, naming, options, tell));
  const { clients, customers } = options;
  return {
    title: `${clients} clients, ${customers} models`,
    tables: [
      {
        title: "Invocations, latency in milliseconds",
        headers: ["", "invocations", "failed", "denied version", "p50", "p99", "longest"],
        rows: runs.flatMap(latencyRows),
      },
      {
        title: "What happened meanwhile, seconds from the order until it was done",
        headers: ["", "times", "seconds"],
        rows: runs.flatMap(happeningRows),
      },
    ],
    notes: NOTES,
  };
}

async function measure(
  stack: BenchStack,
  naming: ArtifactNaming,
  options: RefreshOptions,
  tell: Tell,
): Promise<Run> {
  const fleet = await createFleet(stack, { naming, customers: options.customers });
  const address = required(stack.environment, "TEMPORAL_ADDRESS");
  const namespace = required(stack.environment, "TEMPORAL_NAMESPACE");
  const temporal = new Client({ connection: await Connection.connect({ address }), namespace });
  const worker = await startWorker(stack, fleet.name);
  try {
    return await withLedger(stack, (ledger) =>
      course({ stack, fleet, ledger, temporal, tell, configs: new Set() }, options),
    );
  } finally {
    await setFaults(stack, {});
    await worker.stop();
    await temporal.connection.close();
  }
}

interface Field {
  readonly stack: BenchStack;
  readonly fleet: RefreshFleet;
  readonly ledger: pg.Pool;
  readonly temporal: Client;
  readonly tell: Tell;
  readonly configs: Set<string>;
}

/** The first version is there before the clients are; every further one comes while they invoke. */
async function course(field: Field, options: RefreshOptions): Promise<Run> {
  const { stack, fleet, tell, configs } = field;
  const { refreshes, withdrawals, failures, clients } = options;
  const happenings: Happening[] = [];
  await publishVersion(field, 1);
  await setFaults(stack, { endpointStartSeconds: ENDPOINT_START_SECONDS });
  const load = startClients(stack, fleet, clients);
  try {
    await delay(2 * REST_SECONDS * 1000);
    for (let round = 1; round <= refreshes; round++) {
      const version = round + 1;
      // Spread over the run, never two things at once: what each costs is to be seen.
      const fails = isSpread(round, failures, refreshes);
      happenings.push(await happen(field, version, fails ? "failed refresh" : "refresh"));
      await delay(REST_SECONDS * 1000);
      if (!isSpread(round, withdrawals, refreshes)) continue;
      happenings.push(await withdraw(field, { customer: round % options.customers, version }));
      await delay(REST_SECONDS * 1000);
    }
    await untilRemoved(field);
    await delay(REST_SECONDS * 1000);
  } finally {
    await load.stop();
  }
  const failed = load.invocations.filter(({ error }) => error !== undefined);
  tell(`${fleet.naming}: ${load.invocations.length} invocations, ${failed.length} failed`);
  for (const { error } of failed.slice(0, 3)) tell(error ?? "");
  const { naming } = fleet;
  return { naming, invocations: load.invocations, happenings, configs: configs.size };
}

/** Whether the round is one of `count` that are spread evenly over `rounds`. */
const isSpread = (round: number, count: number, rounds: number): boolean =>
  Math.floor((round * count) / rounds) > Math.floor(((round - 1) * count) / rounds);

async function happen(field: Field, version: number, kind: Kind): Promise<Happening> {
  const { stack, tell, fleet } = field;
  if (kind === "failed refresh") {
    const startSeconds = { endpointStartSeconds: ENDPOINT_START_SECONDS };
    await setFaults(stack, { ...startSeconds, updateEndpoint: "rollback" });
    void untilRolledBack(field).then(() => setFaults(stack, startSeconds));
  }
  const from = performance.now();
  await publishVersion(field, version);
  const to = performance.now();
  tell(`${fleet.naming}: ${kind} to version ${version} took ${seconds({ from, to }).toFixed(1)} s`);
  return { kind, from, to };
}

async function publishVersion(field: Field, version: number): Promise<void> {
  const { fleet, ledger, temporal, configs } = field;
  const { name, customers } = fleet;
  await fleet.register(ledger, version);
  for (let customer = 0; customer < customers; customer++) {
    const customerKey = customerOf(customer);
    const releaseWorkflowId = workflowIds.releaseModel(name, customerKey, version);
    await temporal.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
      workflowId: workflowIds.serveEndpoint(name, STAGE),
      taskQueue: TASK_QUEUES.control,
      args: [{ fleet: name, stage: STAGE, pace: DEFAULT_PACE }],
      signal: publish,
      signalArgs: [{ customerKey, version, releaseWorkflowId }],
    });
  }
  await until(`version ${version} of ${name}`, async () => {
    const states = await publicationStates(ledger, name, version);
    if (states.some(({ state }) => state === "rejected"))
      throw new Error(`publication rejected: ${JSON.stringify(states)}`);
    return states.filter(({ state }) => state === "serving").length === customers;
  });
  configs.add((await describe(name)).EndpointConfigName ?? "");
}

async function publicationStates(ledger: pg.Pool, fleet: string, version: number) {
  const { rows } = await ledger.query<{ state: string; reason: string | null }>(
    "select state, reason from publications where fleet = $1 and version = $2",
    [fleet, version],
  );
  return rows;
}

async function withdraw(
  field: Field,
  left: { readonly customer: number; readonly version: number },
): Promise<Happening> {
  const { fleet, ledger, temporal, tell, configs } = field;
  const customerKey = customerOf(left.customer);
  const from = performance.now();
  await temporal.workflow.start(WORKFLOWS.withdrawModel, {
    workflowId: workflowIds.withdrawModel(fleet.name, customerKey, left.version),
    taskQueue: TASK_QUEUES.control,
    args: [
      {
        ...{ fleet: fleet.name, stage: STAGE, customerKey, version: left.version },
        decision: { verdict: "deny", by: "bench", note: "bench" },
        pace: DEFAULT_PACE,
      },
    ],
  });
  await until(`withdrawal of ${customerKey}`, async () => {
    const { rows } = await ledger.query(
      "select from withdrawals where fleet = $1 and customer_key = $2 and version = $3 and state <> 'asked'",
      [fleet.name, customerKey, left.version],
    );
    return rows.length > 0;
  });
  const to = performance.now();
  tell(`${fleet.naming}: withdrawal took ${seconds({ from, to }).toFixed(1)} s`);
  configs.add((await describe(fleet.name)).EndpointConfigName ?? "");
  return { kind: "withdrawal", from, to, left };
}

/** The grace is part of what clients must not notice the end of. */
const untilRemoved = ({ ledger, fleet }: Field): Promise<void> =>
  until("the removal of withdrawn artifacts", async () => {
    const { rows } = await ledger.query(
      "select from withdrawals where fleet = $1 and state <> 'removed'",
      [fleet.name],
    );
    return rows.length === 0;
  });

const untilRolledBack = ({ fleet }: Field): Promise<void> =>
  until("the rollback of a refresh", async () => {
    const { EndpointStatus, FailureReason } = await describe(fleet.name);
    return EndpointStatus === "InService" && FailureReason !== undefined;
  });

const describe = (fleet: string) =>
  new SageMakerClient({}).send(
    new DescribeEndpointCommand({ EndpointName: endpointName(fleet, STAGE) }),
  );

async function setFaults({ environment }: BenchStack, faults: object): Promise<void> {
  const url = `${required(environment, "AWS_ENDPOINT_URL_SAGEMAKER")}/_local/faults`;
  const response = await fetch(url, { method: "PUT", body: JSON.stringify(faults) });
  if (!response.ok) throw new Error(`faults were refused: ${await response.text()}`);
}

const seconds = ({ from, to }: Pick<Happening, "from" | "to">): number => (to - from) / 1000;

/** `before` anything happened, `during` each kind of thing, and `after` it, while cold models are loaded. */
function latencyRows({ naming, invocations, happenings }: Run): string[][] {
  const first = Math.min(...happenings.map(({ from }) => from));
  const during = (kind: Kind) => (one: Invocation) =>
    happenings.some(
      (each) => each.kind === kind && one.sentAt >= each.from && one.sentAt < each.to,
    );
  const after = (one: Invocation) =>
    happenings.some(({ to }) => one.sentAt >= to && one.sentAt < to + REST_SECONDS * 1000);
  const row = (title: string, includes: (one: Invocation) => boolean) =>
    latencyRow(`${naming}, ${title}`, invocations.filter(includes), happenings);
  return [
    row("before", ({ sentAt }) => sentAt < first),
    row("during a refresh", during("refresh")),
    row("during a failed refresh", during("failed refresh")),
    row("during a withdrawal", during("withdrawal")),
    row("up to 5 s after", after),
    row("all", () => true),
  ];
}

function latencyRow(
  title: string,
  invocations: readonly Invocation[],
  happenings: readonly Happening[],
): string[] {
  const latencies = invocations.map(({ latencyMs }) => latencyMs);
  const failed = invocations.filter(({ error }) => error !== undefined).length;
  const denied = invocations.filter((one) => isDenied(one, happenings)).length;
  const at = (p: number) => formatNumber(percentile(latencies, p), 1);
  const counts = [invocations.length, failed, denied].map((value) => formatNumber(value, 0));
  return [title, ...counts, at(50), at(99), at(100)];
}

/** Answered by a version that was gone when the call was sent; a pointer may be a little old. */
const isDenied = ({ customer, version, sentAt }: Invocation, happenings: readonly Happening[]) =>
  happenings.some(
    ({ left, to }) =>
      left?.customer === customer &&
      left.version === version &&
      sentAt > to + (POINTER_SECONDS + 0.5) * 1000,
  );

function happeningRows({ naming, happenings, configs }: Run): string[][] {
  const kinds = ["refresh", "failed refresh", "withdrawal"] as const;
  const rows = kinds.map((kind) => {
    const took = happenings.filter((one) => one.kind === kind).map(seconds);
    const spread = took.length === 0 ? "–" : withSpread(took, 1);
    return [`${naming}, ${kind}`, String(took.length), spread];
  });
  return [...rows, [`${naming}, endpoint configs used`, String(configs), "–"]];
}

const NOTES = [
  "Each client sends its next request when it has the answer to the last, without retries: an error of any kind counts as failed, and so does the answer of another customer's model. A model answers its own number, so every answer tells which version gave it; `denied version` counts those that came from a withdrawn version more than 1.5 s after the ledger said it was replaced.",
  "`versioned`: clients go by pointers that are at most 1 s old; every version brings new code, since there is no other reason to refresh. `stable`: clients call one name. A refresh publishes a new version of every model and replaces all containers (4 s on the local server, 3 to 10 minutes on AWS); in the first seconds after it every model is cold. A failed refresh is rolled back by the server once, noticed, and tried again after 5 s.",
  "A withdrawal moves a pointer in `versioned`; in `stable` it overwrites the artifact and refreshes. The clients go on until the withdrawn artifacts have been taken away, 30 s after.",
];
