/** Plans a cycle page by page: which customers are trained, in which shard, and why the others are not. */
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { planCustomer, type ChampionOrigin, type CustomerPlan } from "../fleet/plan.js";
import { readCycle, type Cycle, type CycleRef } from "./ledger/cycles.js";

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
  input: CycleRef & { readonly shardSize: number; readonly force: boolean },
): Promise<CyclePlan> {
  const cycle = await readCycle(ledger, input);
  const counts = { customers: 0, train: 0, skipped: 0, failed: 0 };
  for await (const page of datasetPages(ledger, input)) {
    const planned: PlannedCustomer[] = [];
    for (const dataset of page) {
      counts.customers++;
      if (dataset.released) continue;
      const plan = planCustomer(planInput(dataset, cycle, input.force));
      const shard = plan.action === "train" ? Math.floor(counts.train / input.shardSize) : null;
      const championVersion = dataset.champion?.version ?? null;
      planned.push({ customerKey: dataset.customer_key, plan, shard, championVersion });
      counts[plan.action === "train" ? "train" : plan.action === "skip" ? "skipped" : "failed"]++;
    }
    await recordPlans(ledger, input, planned);
  }
  return { ...counts, shards: Math.ceil(counts.train / input.shardSize) };
}

interface PlannedCustomer {
  readonly customerKey: string;
  readonly plan: CustomerPlan;
  readonly shard: number | null;
  /** Noted, so that every attempt of the cycle builds the same training job. */
  readonly championVersion: number | null;
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
  readonly champion: ChampionOrigin | null;
}

/** The champion is the newest version that serves; its origin is the cycle that made it. */
async function* datasetPages(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): AsyncGenerator<DatasetRow[]> {
  for (let after = ""; ;) {
    const { rows } = await ledger.query<DatasetRow>(
      `select c.customer_key, c.train_rows, c.validation_rows, c.test_rows, c.invalid_rows, c.data_hash,
              exists (select from releases r where r.fleet = c.fleet and r.cycle = c.cycle
                         and r.customer_key = c.customer_key) as released,
              (select jsonb_build_object('version', r.version, 'dataHash', o.data_hash,
                        'sourceHash', s.spec #>> '{training,sourceHash}', 'specHash', y.spec_hash)
                 from releases r
                 join customers o using (fleet, cycle, customer_key)
                 join cycles y using (fleet, cycle)
                 join fleet_specs s using (fleet, spec_hash)
                where r.fleet = c.fleet and r.customer_key = c.customer_key and r.state = 'serving'
                order by r.version desc limit 1) as champion
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

function planInput(dataset: DatasetRow, { spec, specHash }: Cycle, force: boolean) {
  return {
    rows: {
      train: Number(dataset.train_rows),
      validation: Number(dataset.validation_rows),
      test: Number(dataset.test_rows),
    },
    invalidRows: Number(dataset.invalid_rows),
    dataHash: dataset.data_hash,
    sourceHash: spec.training.sourceHash,
    specHash,
    minimumRows: spec.source.minimumRows,
    ...(dataset.champion === null ? {} : { champion: dataset.champion }),
    force,
  };
}

async function recordPlans(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  planned: readonly PlannedCustomer[],
): Promise<void> {
  const states = { train: "planned", skip: "skipped", fail: "failed" } as const;
  await ledger.query(
    `update customers c
        set state = p.state, shard = p.shard, reason = p.reason, error_type = p.error_type,
            champion_version = p.champion, updated_at = now()
       from unnest($3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::int[])
         as p (key, state, shard, reason, error_type, champion)
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
    ],
  );
}
