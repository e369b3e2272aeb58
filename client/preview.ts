/** Tells what a run would do and cost, from counts in the warehouse and the ledger's memory. Changes nothing. */
import {
  ASSUMED_SECONDS_PER_FIT,
  ASSUMED_SECONDS_PER_JOB,
  compareWays,
  coresOf,
  estimateCost,
  usdPerHour,
  type CostEstimate,
  type PricedAt,
  type Way,
} from "../fleet/cost.js";
import { endpointCosts, sumOfEndpoints, type StageEndpointCost } from "../fleet/endpoint-cost.js";
import { assertBudgetPriced } from "../fleet/cost-budget.js";
import {
  ASSUMED_SECONDS_PER_CALL,
  cycleJobs,
  serverlessCost,
  type CycleJobs,
  type ServerlessCost,
} from "../fleet/cycle-jobs.js";
import { SpecError } from "../fleet/errors.js";
import { endpointQuotaRefusals } from "../fleet/endpoint-quota.js";
import { cycleId } from "../fleet/names.js";
import { planCustomer, type CustomerPlan } from "../fleet/plan.js";
import { LIST_REGION } from "../fleet/prices.js";
import { chooseSearchSize, type PastEvaluation } from "../fleet/search-size.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { promotionStages, type PromotionStage } from "../fleet/stages.js";
import { cycleWindow } from "../fleet/window.js";
import type { Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import type { LoadedFleet } from "./fleet-file.js";
import { FleetFileInvalid } from "./fleet-file-invalid.js";
import { askLedger } from "./ledger.js";
import { checkColumns } from "./query-check.js";
import { countRows, queryColumns, type CustomerRows, type TimeWindow } from "./warehouse.js";

export interface LeftOut {
  readonly customer: string;
  readonly rows: number;
  readonly because: string;
}

export interface RunPreview {
  readonly fleet: string;
  readonly cycle: string;
  readonly window: TimeWindow;
  readonly customers: number;
  readonly rows: number;
  readonly columns: readonly string[];
  readonly train: { readonly customers: number; readonly rows: number };
  readonly skipped: readonly LeftOut[];
  /** Customers whose data would fail, such as a NULL target. */
  readonly failing: readonly LeftOut[];
  /** Customers to be trained that have a champion to beat. */
  readonly champions: number;
  /** `most`: of a search, all that it may run; it ends early at times. */
  readonly trainingJobs: {
    readonly most: number;
    readonly atATime: number;
    readonly instanceType: string;
  };
  readonly instanceHours: number;
  readonly cost: CostEstimate & {
    /** US dollars for all stages' endpoints; null when a price is not known, and for serverless ones. */
    readonly endpointUsdPerMonth: number | null;
  };
  /** By stage; empty for serverless ones. */
  readonly endpoints: readonly StageEndpointCost[];
  /** What runs once for all customers before they are trained. */
  readonly cycleJobs: readonly CycleJobs[];
  /** Of a serverless endpoint, which is billed by the call; else null. */
  readonly serverless: ServerlessCost | null;
  /** Of a sharded fleet: its one job beside a job for each customer, the declared way first; else empty. */
  readonly ways: readonly Way[];
  /** Why the run would be refused, by counts that are only known with the warehouse; else null. */
  readonly refused: string | null;
  readonly assumptions: readonly string[];
  /** In order of promotion. */
  readonly stages: readonly PromotionStage[];
  /** Quotas of the account that the endpoints would not fit in. */
  readonly overQuota: readonly string[];
}

export async function previewRun(
  connections: Connections,
  { path, spec }: LoadedFleet,
  { at }: { at: string },
): Promise<RunPreview> {
  const window = cycleWindow(spec.source.window, at);
  const columns = await queryColumns(connections.environment, spec.source, window);
  const issues = checkColumns(spec.source, columns, spec.gate.segments, spec.drift?.ignore);
  if (issues.length > 0) throw new FleetFileInvalid(path, issues);
  const [counted, memory] = await Promise.all([
    countRows(connections.environment, spec.source, window),
    remember(connections, spec.name),
  ]);
  const rows = counted.reduce((sum, customer) => sum + customer.rows, 0);
  if (rows === 0) throw noRows(window);
  const plans = counted.map((customer) => ({
    ...customer,
    plan: planOf(spec, customer),
  }));
  const train = plans.filter(({ plan }) => plan.action === "train");
  const jobs = train.reduce((sum, { customer }) => sum + jobsOf(spec, customer, memory), 0);
  const { training } = spec;
  const priced = pricedAt(connections, spec);
  const ways = waysOf(spec, { ...priced, customers: train.length, fits: jobs }, memory);
  const packed = ways[0];
  const estimated = estimateCost({
    ...priced,
    trainingJobs: jobs,
    trainingInstanceType: training.instanceType,
    ...(memory.secondsPerJob === undefined ? {} : { secondsPerJob: memory.secondsPerJob }),
  });
  const endpoints = endpointsOf(spec, train.length, priced);
  const endpointUsdPerMonth = sumOfEndpoints(endpoints);
  const trainingUsd = packed === undefined ? estimated.trainingUsd : packed.usd;
  const cost = { ...estimated, endpointUsdPerMonth, trainingUsd };
  return {
    fleet: spec.name,
    cycle: cycleId(at),
    window,
    customers: plans.length,
    rows,
    columns: columns.map((column) => column.name),
    train: {
      customers: train.length,
      rows: train.reduce((sum, customer) => sum + customer.rows, 0),
    },
    skipped: leftOut(plans, "skip"),
    failing: leftOut(plans, "fail"),
    champions: train.filter(({ customer }) => memory.serving.has(customer)).length,
    trainingJobs: {
      most: packed?.trainingJobs ?? jobs,
      atATime: packed === undefined ? atATime(spec, train.length, jobs) : 1,
      instanceType: training.instanceType,
    },
    instanceHours: packed?.instanceHours ?? Math.round((jobs * cost.secondsPerJob) / 36) / 100,
    cost,
    endpoints,
    cycleJobs: cycleJobs({
      ...{ spec, customers: train.length },
      usdPerHour: (instanceType) => usdPerHour(instanceType, priced),
    }),
    serverless: spec.endpoint.kind === "serverless" ? serverlessCost(spec.endpoint) : null,
    ways,
    refused: refusalOf(spec, train.length, priced.region),
    assumptions: assumptions(spec, memory, priced.region),
    stages: promotionStages(spec),
    overQuota: endpointQuotaRefusals(spec.endpoint, train.length),
  };
}

/** Customers may have an endpoint each; a pipeline begins with one generation. */
const endpointsOf = (spec: FleetSpec, customers: number, priced: PricedAt): StageEndpointCost[] =>
  endpointCosts(spec, {
    ...priced,
    endpoints: () => (spec.endpoint.kind === "dedicated" ? customers : 1),
  });

/** Where the fleet would be trained, by the settings; the list's own region without any. */
const pricedAt = (
  { environment }: Connections,
  { prices }: FleetSpec,
): PricedAt & { readonly region: string } => ({
  region: environment.AWS_REGION || LIST_REGION,
  prices,
});

const atATime = ({ concurrency, tuning }: FleetSpec, customers: number, jobs: number): number =>
  Math.min(Math.min(concurrency, customers) * (tuning?.parallel ?? 1), jobs);

function waysOf(
  spec: FleetSpec,
  { customers, fits, ...priced }: PricedAt & { readonly customers: number; readonly fits: number },
  memory: Memory,
): Way[] {
  const { training } = spec;
  if (training.kind !== "sharded" || customers === 0) return [];
  const { packed, each } = compareWays({
    ...priced,
    customers,
    fits,
    instanceType: training.instanceType,
    instances: training.instances,
    atATime: atATime(spec, customers, fits),
    ...(memory.secondsPerFit === undefined ? {} : { secondsPerFit: memory.secondsPerFit }),
  });
  return [packed, each];
}

/** What the worker would say after the export. */
function refusalOf(spec: FleetSpec, customers: number, region: string): string | null {
  try {
    assertBudgetPriced(spec, region);
  } catch (error) {
    if (error instanceof SpecError) return `${error.message}: ${error.hint}`;
    throw error;
  }
  const { training } = spec;
  if (training.kind !== "sharded" || customers === 0 || customers >= training.instances)
    return null;
  return (
    `training.instances asks ${training.instances} instances for ${customers} ` +
    `customer${customers === 1 ? "" : "s"}: lower it, some would have no file to train on`
  );
}

function planOf(spec: FleetSpec, customer: CustomerRows): CustomerPlan {
  const usable = customer.rows - customer.invalidRows;
  // The split is made at export; here every split gets a row if there are enough.
  const held = usable >= 3 ? 1 : 0;
  return planCustomer({
    rows: { train: usable - 2 * held, validation: held, test: held },
    invalidRows: customer.invalidRows,
    dataHash: null,
    modelHash: "",
    minimumRows: spec.source.minimumRows,
    force: true,
  });
}

/** Training jobs of one customer. */
function jobsOf({ tuning, gate }: FleetSpec, customer: string, memory: Memory): number {
  if (tuning === undefined) return 1;
  const hasChampion = memory.serving.has(customer);
  const last = memory.evaluations.get(customer) ?? null;
  return chooseSearchSize({ tuning, gate, testing: false, hasChampion, last }).maxJobs;
}

function leftOut(
  plans: readonly (CustomerRows & { plan: CustomerPlan })[],
  action: "skip" | "fail",
): LeftOut[] {
  return plans
    .flatMap(({ customer, rows, plan }) =>
      plan.action === action && "because" in plan
        ? [{ customer, rows, because: plan.because }]
        : [],
    )
    .sort((a, b) => b.rows - a.rows || (a.customer < b.customer ? -1 : 1));
}

interface Memory {
  readonly serving: ReadonlySet<string>;
  /** The newest evaluation by customer. */
  readonly evaluations: ReadonlyMap<string, PastEvaluation>;
  readonly secondsPerJob?: number;
  /** Of one process, in the fleet's sharded jobs. */
  readonly secondsPerFit?: number;
  /** Why the ledger could not be asked. */
  readonly missing?: string;
}

/** A plan is worth having before the ledger exists, too. */
async function remember(connections: Connections, fleet: string): Promise<Memory> {
  try {
    const serving = await askLedger<{ customer: string }>(
      connections,
      `select u.customer from releases r join customers u using (fleet, cycle, customer_key)
        where r.fleet = $1 and r.state = 'serving'`,
      [fleet],
    );
    const evaluations = await askLedger<PastEvaluation & { customer: string }>(
      connections,
      `select distinct on (u.customer) u.customer, e.metrics as challenger, e.champion_metrics as champion
         from evaluations e
         join customers u using (fleet, cycle, customer_key)
         join cycles y using (fleet, cycle)
        where e.fleet = $1 and not y.testing
        order by u.customer, e.cycle desc`,
      [fleet],
    );
    const [jobs] = await askLedger<{ seconds: number | null }>(
      connections,
      "select mean_job_seconds($1) as seconds",
      [fleet],
    );
    const secondsPerFit = await secondsOfFits(connections, fleet);
    return {
      serving: new Set(serving.map((row) => row.customer)),
      evaluations: new Map(evaluations.map((row) => [row.customer, row])),
      ...(jobs?.seconds == null ? {} : { secondsPerJob: Math.max(1, jobs.seconds) }),
      ...(secondsPerFit === undefined ? {} : { secondsPerFit }),
    };
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    return { serving: new Set(), evaluations: new Map(), missing: messageOf(error) };
  }
}

/** Of the newest sharded job that completed: its instances' cores, by the fits that it made. */
async function secondsOfFits(connections: Connections, fleet: string): Promise<number | undefined> {
  const [job] = await askLedger<{ seconds: number; slots: number; type: string; fits: number }>(
    connections,
    "select seconds, slots, instance_type as type, fits from newest_packed_job($1)",
    [fleet],
  );
  if (job === undefined || job.fits === 0) return undefined;
  return Math.max(0.01, (job.seconds * job.slots * coresOf(job.type)) / job.fits);
}

function assumptions(spec: FleetSpec, memory: Memory, region: string): string[] {
  return [
    ...trainingAssumptions(spec, memory),
    ...otherAssumptions(spec),
    ...common(memory, region),
  ];
}

function trainingAssumptions({ training }: FleetSpec, memory: Memory): string[] {
  const { secondsPerFit } = memory;
  if (training.kind === "sharded")
    return [
      `every instance that starts is billed ${ASSUMED_SECONDS_PER_JOB} s beside its fits`,
      secondsPerFit === undefined
        ? `a fit takes one core ${ASSUMED_SECONDS_PER_FIT} s (none has been measured yet)`
        : `a fit takes one core ${secondsPerFit.toPrecision(2)} s, by this fleet's newest job`,
    ];
  return [secondsAssumption(memory)];
}

function otherAssumptions({ preparation, training, endpoint }: FleetSpec): string[] {
  const told: string[] = [];
  if (preparation !== undefined || training.kind === "pipeline")
    told.push(
      `an instance of a job that is for all customers is billed ${ASSUMED_SECONDS_PER_JOB} s`,
    );
  if (training.kind === "pipeline")
    told.push("a preprocessor that has been fitted as it stands is not fitted again");
  if (endpoint.kind === "serverless")
    told.push(
      `a call of the serverless endpoint computes ${ASSUMED_SECONDS_PER_CALL} s; it is billed by memory and time`,
    );
  return told;
}

function secondsAssumption({ secondsPerJob }: Memory): string {
  return secondsPerJob === undefined
    ? `a training job is billed ${ASSUMED_SECONDS_PER_JOB} s (none has run yet)`
    : `a training job is billed ${secondsPerJob.toFixed(0)} s, the mean of this fleet's jobs`;
}

const common = ({ missing }: Memory, region: string): string[] => [
  `list prices of ${region}, or the fleet file's; storage, requests and the warehouse are not counted`,
  "customers whose data, code and spec turn out unchanged after the export cost nothing",
  ...(missing === undefined ? [] : [`without what the ledger knows: ${missing}`]),
];

function noRows(window: TimeWindow): ClientError {
  return new ClientError(
    `the query returns no rows for the window from ${window.floor} to ${window.ceiling}`,
    "choose another time with --at, or look at source.query and source.window",
  );
}
