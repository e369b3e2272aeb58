/** Plans a cycle page by page: which customers are trained, in which shard, by how large a search, and why not. */
import { ApplicationFailure } from "@temporalio/common";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { modelHash } from "../fleet/model-hash.js";
import {
  planCustomer,
  type ChampionOrigin,
  type CustomerPlan,
  type PlanCustomerInput,
} from "../fleet/plan.js";
import { chooseSearchSize, type PastEvaluation, type SearchSize } from "../fleet/search-size.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { readCycle, type Cycle, type CycleRef } from "./ledger/cycles.js";
import { recordEstimate } from "./ledger/estimates.js";
import { readSpec, type SpecRef } from "./ledger/specs.js";
import { assertShared } from "./tuning-room.js";

export interface CyclePlan {
  /** All customers of the cycle, also those that an earlier run of it has released already. */
  readonly customers: number;
  readonly train: number;
  readonly skipped: number;
  readonly failed: number;
  readonly shards: number;
}

const PAGE = 1000;

export async function planCustomers(
  ledger: pg.Pool,
  input: CycleRef & {
    readonly shardSize: number;
    readonly force: boolean;
    readonly region: string;
  },
): Promise<CyclePlan> {
  const cycle = await readCycle(ledger, input);
  // A test is to go the whole path, whatever has changed.
  const force = input.force || cycle.testing;
  const hash = modelHash(cycle.spec);
  const hashOf = championHashes(ledger, input.fleet);
  const counts = { customers: 0, train: 0, skipped: 0, failed: 0 };
  let fits = 0;
  for await (const page of datasetPages(ledger, input)) {
    const planned: PlannedCustomer[] = [];
    for (const dataset of page) {
      counts.customers++;
      if (dataset.released) continue;
      const champion = await originOf(dataset.champion, hashOf);
      const asked = { dataset, champion, spec: cycle.spec, modelHash: hash, force };
      const plan = planCustomer(planInput(asked));
      const shard = plan.action === "train" ? Math.floor(counts.train / input.shardSize) : null;
      const championVersion = dataset.champion?.version ?? null;
      const search = plan.action === "train" ? searchOf(dataset, cycle) : null;
      if (plan.action === "train") fits += search?.maxJobs ?? 1;
      planned.push({ customerKey: dataset.customer_key, plan, shard, championVersion, search });
      counts[plan.action === "train" ? "train" : plan.action === "skip" ? "skipped" : "failed"]++;
    }
    await recordPlans(ledger, { ...input, specHash: cycle.specHash }, planned);
  }
  const { training } = cycle.spec;
  if (training.kind === "sharded") assertShared(counts.train, training.instances);
  await recordEstimate(ledger, cycle, { customers: counts.train, fits, region: input.region });
  return { ...counts, shards: Math.ceil(counts.train / input.shardSize) };
}

interface PlannedCustomer {
  readonly customerKey: string;
  readonly plan: CustomerPlan;
  readonly shard: number | null;
  /** Noted, so that every attempt of the cycle builds the same training job. */
  readonly championVersion: number | null;
  /** Null when no hyperparameters are searched. */
  readonly search: SearchSize | null;
}

interface DatasetRow {
  readonly customer_key: string;
  readonly train_rows: string;
  readonly validation_rows: string;
  readonly test_rows: string;
  readonly invalid_rows: string;
  readonly data_hash: string | null;
  /** This cycle has made a release of it: an earlier run of the cycle went that far. */
  readonly released: boolean;
  readonly champion: {
    readonly version: number;
    readonly dataHash: string | null;
    readonly specHash: string;
  } | null;
  /** The newest evaluation of an earlier cycle that was no test. */
  readonly last: PastEvaluation | null;
}

/**
 * The champion is the newest version that serves; its origin is the cycle that made it, as it was planned then. One
 * that a test has made shows no data: the next real cycle trains in its place, although nothing has changed.
 */
async function* datasetPages(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): AsyncGenerator<DatasetRow[]> {
  for (let after = ""; ;) {
    const { rows } = await ledger.query<DatasetRow>(
      `select c.customer_key, c.train_rows, c.validation_rows, c.test_rows, c.invalid_rows, c.data_hash,
              exists (select from releases r where r.fleet = c.fleet and r.cycle = c.cycle
                         and r.customer_key = c.customer_key) as released,
              (select jsonb_build_object('version', r.version,
                        'dataHash', case when not y.testing then o.data_hash end,
                        'specHash', coalesce(o.planned_spec_hash, y.spec_hash))
                 from releases r
                 join customers o using (fleet, cycle, customer_key)
                 join cycles y using (fleet, cycle)
                where r.fleet = c.fleet and r.customer_key = c.customer_key and r.state = 'serving'
                order by r.version desc limit 1) as champion,
              (select jsonb_build_object('challenger', e.metrics, 'champion', e.champion_metrics)
                 from evaluations e join cycles y using (fleet, cycle)
                where e.fleet = c.fleet and e.customer_key = c.customer_key and e.cycle < c.cycle
                  and not y.testing
                order by e.cycle desc limit 1) as last
         from customers c
        where c.fleet = $1 and c.cycle = $2 and c.customer_key > $3
        order by c.customer_key limit ${PAGE}`,
      [fleet, cycle, after],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    after = last.customer_key;
  }
}

type HashOf = (specHash: string) => Promise<string | null>;

/** Champions share few specs; one that this version of modelfleet cannot read counts as changed. */
function championHashes(ledger: pg.Pool, fleet: string): HashOf {
  const known = new Map<string, Promise<string | null>>();
  return (specHash) => {
    const hash = known.get(specHash) ?? hashOfSpec(ledger, { fleet, specHash });
    known.set(specHash, hash);
    return hash;
  };
}

async function hashOfSpec(ledger: pg.Pool, ref: SpecRef): Promise<string | null> {
  try {
    return modelHash(await readSpec(ledger, ref));
  } catch (error) {
    if (error instanceof ApplicationFailure && error.type === FAILURES.specInvalid) return null;
    throw error;
  }
}

async function originOf(
  champion: DatasetRow["champion"],
  hashOf: HashOf,
): Promise<ChampionOrigin | null> {
  if (champion === null) return null;
  const { version, dataHash, specHash } = champion;
  return { version, dataHash, modelHash: await hashOf(specHash) };
}

interface PlanQuestion {
  readonly dataset: DatasetRow;
  readonly champion: ChampionOrigin | null;
  readonly spec: FleetSpec;
  readonly modelHash: string;
  readonly force: boolean;
}

function planInput({ dataset, champion, spec, modelHash, force }: PlanQuestion): PlanCustomerInput {
  return {
    rows: {
      train: Number(dataset.train_rows),
      validation: Number(dataset.validation_rows),
      test: Number(dataset.test_rows),
    },
    invalidRows: Number(dataset.invalid_rows),
    dataHash: dataset.data_hash,
    modelHash,
    minimumRows: spec.source.minimumRows,
    ...(champion === null ? {} : { champion }),
    force,
  };
}

function searchOf(dataset: DatasetRow, { spec, testing }: Cycle): SearchSize | null {
  const { tuning, gate } = spec;
  if (tuning === undefined) return null;
  const { champion, last } = dataset;
  return chooseSearchSize({ tuning, gate, testing, hasChampion: champion !== null, last });
}

async function recordPlans(
  ledger: pg.Pool,
  { fleet, cycle, specHash }: CycleRef & { readonly specHash: string },
  planned: readonly PlannedCustomer[],
): Promise<void> {
  const states = { train: "planned", skip: "skipped", fail: "failed" } as const;
  await ledger.query(
    `update customers c
        set state = p.state, shard = p.shard, reason = p.reason, error_type = p.error_type,
            champion_version = p.champion, search = p.search::jsonb, planned_spec_hash = $10,
            updated_at = now()
       from unnest($3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::int[], $9::text[])
         as p (key, state, shard, reason, error_type, champion, search)
      where c.fleet = $1 and c.cycle = $2 and c.customer_key = p.key`,
    [
      fleet,
      cycle,
      planned.map(({ customerKey }) => customerKey),
      planned.map(({ plan }) => states[plan.action]),
      planned.map(({ shard }) => shard),
      planned.map(({ plan }) => (plan.action === "train" ? null : plan.because)),
      planned.map(({ plan }) => (plan.action === "fail" ? FAILURES.dataInvalid : null)),
      planned.map(({ championVersion }) => championVersion),
      planned.map(({ search }) => (search === null ? null : JSON.stringify(search))),
      specHash,
    ],
  );
}
