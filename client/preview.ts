/** Tells what a run would do and cost, from counts in the warehouse and the ledger's memory. Changes nothing. */
import { ASSUMED_SECONDS_PER_JOB, estimateCost, type CostEstimate } from "../fleet/cost.js";
import { cycleId } from "../fleet/names.js";
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
  readonly assumptions: readonly string[];
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
  const cost = estimateCost({
    trainingJobs: jobs,
    trainingInstanceType: spec.training.instanceType,
    ...(memory.secondsPerJob === undefined ? {} : { secondsPerJob: memory.secondsPerJob }),
    endpointInstanceType: spec.endpoint.instanceType,
    endpointInstances: spec.endpoint.instances,
  });
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
      most: jobs,
      atATime: Math.min(
        Math.min(spec.concurrency, train.length) * (spec.tuning?.parallel ?? 1),
        jobs,
      ),
      instanceType: spec.training.instanceType,
    },
    instanceHours: Math.round((jobs * cost.secondsPerJob) / 36) / 100,
    cost,
    assumptions: assumptions(memory),
  };
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
    return {
      serving: new Set(serving.map((row) => row.customer)),
      evaluations: new Map(evaluations.map((row) => [row.customer, row])),
      ...(jobs?.seconds == null ? {} : { secondsPerJob: Math.max(1, jobs.seconds) }),
    };
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    return { serving: new Set(), evaluations: new Map(), missing: messageOf(error) };
  }
}

function assumptions({ secondsPerJob, missing }: Memory): string[] {
  const seconds =
    secondsPerJob === undefined
      ? `a training job is billed ${ASSUMED_SECONDS_PER_JOB} s (none has run yet)`
      : `a training job is billed ${secondsPerJob.toFixed(0)} s, the mean of this fleet's jobs`;
  return [
    seconds,
    "list prices of us-east-1; storage, requests and the warehouse are not counted",
    "customers whose data, code and spec turn out unchanged after the export cost nothing",
    ...(missing === undefined ? [] : [`without what the ledger knows: ${missing}`]),
  ];
}

function noRows(window: TimeWindow): ClientError {
  return new ClientError(
    `the query returns no rows for the window from ${window.floor} to ${window.ceiling}`,
    "choose another time with --at, or look at source.query and source.window",
  );
}
