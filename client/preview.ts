/** Tells what a run would do and cost, from counts in the warehouse and the ledger's memory. Changes nothing. */
import {
  ASSUMED_SECONDS_PER_FIT,
  ASSUMED_SECONDS_PER_JOB,
  compareWays,
  coresOf,
  estimateCost,
  type CostEstimate,
  type Way,
} from "../fleet/cost.js";
import { endpointQuotaRefusals } from "../fleet/endpoint-quota.js";
import { COHORT_KEY, cycleId } from "../fleet/names.js";
import { planCustomer, type CustomerPlan } from "../fleet/plan.js";
import { chooseSearchSize, type PastEvaluation } from "../fleet/search-size.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
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
  readonly cost: CostEstimate;
  /** Of a sharded fleet: its one job beside a job for each customer, the declared way first; else empty. */
  readonly ways: readonly Way[];
  /** Why the run would be refused, by counts that are only known with the warehouse; else null. */
  readonly refused: string | null;
  readonly assumptions: readonly string[];
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
  const issues = checkColumns(spec.source, columns, spec.gate.segments);
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
  const ways = waysOf(spec, { customers: train.length, fits: jobs }, memory);
  const packed = ways[0];
  const estimated = estimateCost({
    trainingJobs: jobs,
    trainingInstanceType: training.instanceType,
    ...(memory.secondsPerJob === undefined ? {} : { secondsPerJob: memory.secondsPerJob }),
    ...(spec.endpoint.kind === "serverless"
      ? {}
      : {
          endpointInstanceType: spec.endpoint.instanceType,
          endpointInstances:
            spec.endpoint.instances * (spec.endpoint.kind === "dedicated" ? train.length : 1),
        }),
  });
  const cost = packed === undefined ? estimated : { ...estimated, trainingUsd: packed.usd };
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
    ways,
    refused: refusalOf(spec, train.length),
    assumptions: assumptions(spec, memory),
    overQuota: endpointQuotaRefusals(spec.endpoint, train.length),
  };
}

const atATime = ({ concurrency, tuning }: FleetSpec, customers: number, jobs: number): number =>
  Math.min(Math.min(concurrency, customers) * (tuning?.parallel ?? 1), jobs);

function waysOf(
  spec: FleetSpec,
  { customers, fits }: { readonly customers: number; readonly fits: number },
  memory: Memory,
): Way[] {
  const { training } = spec;
  if (training.kind !== "sharded" || customers === 0) return [];
  const { packed, each } = compareWays({
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
function refusalOf({ training }: FleetSpec, customers: number): string | null {
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
      `select avg(seconds)::double precision as seconds from (
         select billable_seconds as seconds
           from jobs where fleet = $1 and status = 'Completed' and kind = 'training'
          union all
         select extract(epoch from t.ended_at - t.started_at)
           from tuning_trials t join tuning_jobs j using (tuning_job_name)
          where j.fleet = $1 and t.status = 'Completed') as job`,
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
    `select j.billable_seconds::float8 as seconds, j.slots,
            coalesce(j.request #>> '{ResourceConfig,InstanceType}', '') as type,
            (select count(*) from evaluations e
              where e.fleet = j.fleet and e.cycle = j.cycle and e.training_job_name = j.job_name)::float8
              * greatest(1, coalesce((select avg((t.trial_statuses ->> 'completed')::float8) from tuning_jobs t
                                       where t.fleet = j.fleet and t.cycle = j.cycle and t.packed), 1)) as fits
       from jobs j
      where j.fleet = $1 and j.customer_key = $2 and j.status = 'Completed' and j.billable_seconds is not null
      order by j.ended_at desc limit 1`,
    [fleet, COHORT_KEY],
  );
  if (job === undefined || job.fits === 0) return undefined;
  return Math.max(0.01, (job.seconds * job.slots * coresOf(job.type)) / job.fits);
}

function assumptions({ training }: FleetSpec, memory: Memory): string[] {
  const { secondsPerFit, missing } = memory;
  if (training.kind === "sharded")
    return [
      `every instance that starts is billed ${ASSUMED_SECONDS_PER_JOB} s beside its fits`,
      secondsPerFit === undefined
        ? `a fit takes one core ${ASSUMED_SECONDS_PER_FIT} s (none has been measured yet)`
        : `a fit takes one core ${secondsPerFit.toPrecision(2)} s, by this fleet's newest job`,
      ...commonAssumptions(missing),
    ];
  return [secondsAssumption(memory), ...commonAssumptions(missing)];
}

function secondsAssumption({ secondsPerJob }: Memory): string {
  return secondsPerJob === undefined
    ? `a training job is billed ${ASSUMED_SECONDS_PER_JOB} s (none has run yet)`
    : `a training job is billed ${secondsPerJob.toFixed(0)} s, the mean of this fleet's jobs`;
}

const commonAssumptions = (missing: string | undefined): string[] => [
  "list prices of us-east-1; storage, requests and the warehouse are not counted",
  "customers whose data, code and spec turn out unchanged after the export cost nothing",
  ...(missing === undefined ? [] : [`without what the ledger knows: ${missing}`]),
];

function noRows(window: TimeWindow): ClientError {
  return new ClientError(
    `the query returns no rows for the window from ${window.floor} to ${window.ceiling}`,
    "choose another time with --at, or look at source.query and source.window",
  );
}
