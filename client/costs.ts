/** Reads what a fleet's jobs have cost: by cycle, by customer, by kind of job, beside what was thought beforehand. */
import { shareCost, type CostMember, type SharedBy } from "../fleet/cost-shares.js";
import {
  endpointCosts,
  sumOfEndpoints,
  type EndpointsSpec,
  type StageEndpointCost,
} from "../fleet/endpoint-cost.js";
import { COHORT_KEY, CYCLE_KEY } from "../fleet/names.js";
import { PRICE_LIST } from "../fleet/prices.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import type { Connections } from "./connections.js";
import { askLedger, readCycle, readCycles, type CycleState } from "./ledger.js";

/** Sums over jobs; money is of those whose price is known. */
export interface CostSum {
  readonly jobs: number;
  readonly trainingJobs: number;
  /** Of all instances, warm pools among them. */
  readonly instanceHours: number;
  readonly usd: number;
  /** Of them for instances that were kept after a job. */
  readonly warmPoolUsd: number;
  /** Jobs without a price, or of which SageMaker knows no seconds: they are not in `usd`. */
  readonly unpricedJobs: number;
}

export interface CycleCost extends CostSum {
  readonly cycle: string;
  readonly state: CycleState;
  /** Of training alone, when the cycle was planned; null before, and when the price was not known. */
  readonly estimateUsd: number | null;
  readonly estimatedTrainingJobs: number | null;
  readonly budgetUsd: number | null;
  /** Why the cycle starts no further job; null while it does. */
  readonly overBudget: string | null;
  /** Jobs that run, or that ended a moment ago: what they cost is not known yet. */
  readonly openJobs: number;
}

export interface KindCost extends CostSum {
  readonly kind: "training" | "tuning" | "processing" | "transform";
  readonly instanceType: string;
  readonly region: string;
  readonly usdPerHour: number | null;
  readonly priceSource: string | null;
}

export interface CustomerCost {
  readonly customer: string;
  readonly customerKey: string;
  /** Of jobs for this customer alone, and its share of those for many. */
  readonly ownUsd: number;
  readonly sharedUsd: number;
  readonly usd: number;
}

export interface FleetCosts {
  readonly fleet: string;
  /** Newest first. */
  readonly cycles: readonly CycleCost[];
  /** Estimated, US dollars a month for all stages; null when a price is not known, and for serverless ones. */
  readonly endpointUsdPerMonth: number | null;
  /** By stage, in order of promotion, of those that have an endpoint; empty for serverless ones. */
  readonly endpoints: readonly StageEndpointCost[];
  readonly prices: { readonly source: string; readonly asOf: string };
}

const SUMS = `
  count(*)::int as jobs, coalesce(sum(c.training_jobs), 0)::int as "trainingJobs",
  coalesce(sum((c.billable_seconds + c.warm_pool_seconds) * c.instances) / 3600, 0)::float8 as "instanceHours",
  coalesce(sum(c.usd), 0)::float8 as usd,
  coalesce(sum(c.warm_pool_seconds * c.instances * c.usd_per_hour / 3600), 0)::float8 as "warmPoolUsd",
  count(*) filter (where c.usd is null)::int as "unpricedJobs"`;

const NOTHING: CostSum = {
  ...{ jobs: 0, trainingJobs: 0, instanceHours: 0, usd: 0, warmPoolUsd: 0, unpricedJobs: 0 },
};

/** Of every cycle. Throws ClientError for a fleet that does not exist. */
export async function readFleetCosts(connections: Connections, fleet: string): Promise<FleetCosts> {
  const cycles = await readCycles(connections, fleet);
  const sums = await askLedger<CostSum & { cycle: string }>(
    connections,
    `select c.cycle, ${SUMS} from costs c where c.fleet = $1 group by c.cycle`,
    [fleet],
  );
  const facts = await askLedger<CycleFacts>(
    connections,
    `select y.cycle, (y.estimate ->> 'usd')::float8 as "estimateUsd",
            (y.estimate ->> 'trainingJobs')::int as "estimatedTrainingJobs",
            (s.spec #>> '{budget,perCycleUsd}')::float8 as "budgetUsd", y.over_budget as "overBudget",
            (select count(*) from jobs j
              where j.fleet = y.fleet and j.cycle = y.cycle and j.cost_recorded_at is null)::int as "openJobs"
       from cycles y join fleet_specs s using (fleet, spec_hash) where y.fleet = $1`,
    [fleet],
  );
  const endpoints = await endpointsOf(connections, fleet);
  return {
    fleet,
    cycles: cycles.map(({ cycle, state }) => {
      const { cycle: _cycle, ...sum } = sums.find((one) => one.cycle === cycle) ?? {
        cycle,
        ...NOTHING,
      };
      const { cycle: _same, ...told } = facts.find((one) => one.cycle === cycle) ?? {
        ...{ cycle, estimateUsd: null, estimatedTrainingJobs: null, budgetUsd: null },
        ...{ overBudget: null, openJobs: 0 },
      };
      return { cycle, state, ...sum, ...told };
    }),
    endpointUsdPerMonth: sumOfEndpoints(endpoints),
    endpoints,
    prices: { source: PRICE_LIST.source, asOf: PRICE_LIST.asOf },
  };
}

type CycleFacts = Pick<
  CycleCost,
  "cycle" | "estimateUsd" | "estimatedTrainingJobs" | "budgetUsd" | "overBudget" | "openJobs"
>;

/** One cycle, by default the newest. */
export async function readCycleCost(
  connections: Connections,
  named: { readonly fleet: string; readonly cycle?: string },
): Promise<CycleCost> {
  const { cycle } = await readCycle(connections, named);
  const { cycles } = await readFleetCosts(connections, named.fleet);
  const found = cycles.find((one) => one.cycle === cycle);
  if (found === undefined) throw new Error(`cycle ${cycle} has gone while it was read`);
  return found;
}

/** By kind of job, instance type and price. */
export async function readKindCosts(
  connections: Connections,
  { fleet, cycle }: { readonly fleet: string; readonly cycle: string },
): Promise<KindCost[]> {
  return askLedger<KindCost>(
    connections,
    `select c.kind, c.instance_type as "instanceType", c.region, c.usd_per_hour as "usdPerHour",
            c.price_source as "priceSource", ${SUMS}
       from costs c where c.fleet = $1 and c.cycle = $2
      group by c.kind, c.instance_type, c.region, c.usd_per_hour, c.price_source
      order by usd desc, c.kind, c.instance_type`,
    [fleet, cycle],
  );
}

export interface CustomerCosts {
  readonly customers: readonly CustomerCost[];
  /** How the cost of jobs for many was shared; null when there were none. */
  readonly sharedBy: SharedBy | null;
}

/** Dearest first. A job for many is shared by the customers that the cycle trained; without one, by all. */
export async function readCustomerCosts(
  connections: Connections,
  { fleet, cycle }: { readonly fleet: string; readonly cycle: string },
): Promise<CustomerCosts> {
  const rows = await askLedger<MemberRow>(
    connections,
    `select u.customer, u.customer_key as "customerKey", u.shard is not null as trained, u.fit_seconds as seconds,
            coalesce(c.usd, 0)::float8 as own
       from customers u
       left join (select customer_key, sum(usd) as usd from costs where fleet = $1 and cycle = $2
                   group by customer_key) c using (customer_key)
      where u.fleet = $1 and u.cycle = $2`,
    [fleet, cycle],
  );
  const shared = await askLedger<{ key: string; usd: number }>(
    connections,
    `select customer_key as key, sum(usd)::float8 as usd from costs
      where fleet = $1 and cycle = $2 and customer_key = any($3) and usd is not null group by customer_key`,
    [fleet, cycle, [COHORT_KEY, CYCLE_KEY]],
  );
  const trained = rows.filter((row) => row.trained);
  const members = trained.length > 0 ? trained : rows;
  const dealt = shared.map(({ key, usd }) =>
    shareCost(usd, key === COHORT_KEY ? members : evenly(members)),
  );
  const customers = rows
    .map(({ customer, customerKey, own }) => {
      const share = dealt.reduce((sum, { shares }) => sum + (shares.get(customerKey) ?? 0), 0);
      return { customer, customerKey, ownUsd: own, sharedUsd: share, usd: own + share };
    })
    .filter(({ usd }) => usd > 0)
    .sort((a, b) => b.usd - a.usd || (a.customer < b.customer ? -1 : 1));
  const cohort = shared.findIndex(({ key }) => key === COHORT_KEY);
  return { customers, sharedBy: (dealt[cohort] ?? dealt[0])?.by ?? null };
}

interface MemberRow extends CostMember {
  readonly customer: string;
  readonly trained: boolean;
  readonly own: number;
}

const evenly = (members: readonly CostMember[]): CostMember[] =>
  members.map(({ customerKey }) => ({ customerKey, seconds: null }));

/**
 * By the newest cycle's spec, which the ledger holds as a client wrote it, for the stages that something was published
 * to: a stage has its endpoint from then on. Customers may have one each; a pipeline has one for each generation.
 */
async function endpointsOf(connections: Connections, fleet: string): Promise<StageEndpointCost[]> {
  const [newest] = await askLedger<{ spec: Partial<EndpointsSpec> & Pick<FleetSpec, "prices"> }>(
    connections,
    `select s.spec from cycles y join fleet_specs s using (fleet, spec_hash)
      where y.fleet = $1 order by y.cycle desc limit 1`,
    [fleet],
  );
  const { endpoint, stages, prices } = newest?.spec ?? {};
  if (endpoint === undefined || stages === undefined) return [];
  const published = await askLedger<{ stage: string; customers: number; generations: number }>(
    connections,
    `select p.stage, (count(distinct p.customer_key) filter (where p.state = 'serving'))::int as customers,
            (count(distinct r.generation) filter (where p.state = 'serving'))::int as generations
       from publications p left join releases r using (fleet, customer_key, version)
      where p.fleet = $1 group by p.stage`,
    [fleet],
  );
  const endpointsAt = (name: string): number => {
    const { customers, generations } = published.find(({ stage }) => stage === name) ?? NONE;
    if (endpoint.kind === "dedicated") return customers;
    return endpoint.kind === "pipeline" ? generations : 1;
  };
  const region = connections.environment.AWS_REGION;
  return endpointCosts(
    { endpoint, stages: stages.filter(({ name }) => published.some((one) => one.stage === name)) },
    { ...(region ? { region } : {}), prices, endpoints: endpointsAt },
  );
}

const NONE = { customers: 0, generations: 0 };
