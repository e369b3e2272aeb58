/** Reads the cohort of a cycle: the customers that one sharded job trains, with all that it is told of each. */
import type pg from "pg";
import type { SearchSize } from "../../fleet/search-size.js";
import type { CycleRef } from "./cycles.js";

export interface CohortMember {
  readonly customerKey: string;
  readonly dataHash: string | null;
  readonly championVersion: number | null;
  /** Artifact of the model that serves, to be scored on the same rows. */
  readonly championUri: string | null;
  /** Held-out rows of which the served model will be asked for training's predictions. */
  readonly verificationRows: number;
  /** Null when no hyperparameters are searched. */
  readonly search: SearchSize | null;
}

const PAGE = 1000;

/**
 * Planned to be trained, and without a release that an earlier run of the cycle made. In the order of their keys,
 * whatever has become of them since: every attempt sees the same ones.
 */
export async function* cohortPages(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): AsyncGenerator<CohortMember[]> {
  for (let after = ""; ;) {
    const { rows } = await ledger.query<CohortMember>(
      `select c.customer_key as "customerKey", c.data_hash as "dataHash",
              c.champion_version as "championVersion", r.artifact_uri as "championUri", c.search,
              jsonb_array_length(coalesce(c.verification, '[]')) as "verificationRows"
         from customers c
         left join releases r
                on r.fleet = c.fleet and r.customer_key = c.customer_key and r.version = c.champion_version
        where c.fleet = $1 and c.cycle = $2 and c.customer_key > $3 and c.shard is not null
          and not exists (select from releases made where made.fleet = c.fleet and made.cycle = c.cycle
                             and made.customer_key = c.customer_key)
        order by c.customer_key limit ${PAGE}`,
      [fleet, cycle, after],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    after = last.customerKey;
  }
}

/** The job has been created. */
export async function recordCohortTraining(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<void> {
  await ledger.query(
    `update customers c set state = 'training', reason = null, error_type = null, updated_at = now()
      where fleet = $1 and cycle = $2 and shard is not null and state = 'planned'`,
    [fleet, cycle],
  );
}

export interface CohortFailure {
  readonly customerKey: string;
  readonly errorType: string;
  readonly reason: string;
}

/** Of single customers. */
export async function recordCohortFailures(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  failures: readonly CohortFailure[],
): Promise<void> {
  if (failures.length === 0) return;
  await ledger.query(
    `update customers c set state = 'failed', error_type = f.type, reason = f.reason, updated_at = now()
       from unnest($3::text[], $4::text[], $5::text[]) as f (key, type, reason)
      where c.fleet = $1 and c.cycle = $2 and c.customer_key = f.key
        -- A late attempt must not take back what came after it.
        and c.state in ('planned', 'training', 'trained', 'evaluated', 'champion-kept', 'failed')`,
    [
      fleet,
      cycle,
      failures.map(({ customerKey }) => customerKey),
      failures.map(({ errorType }) => errorType),
      failures.map(({ reason }) => reason),
    ],
  );
}

/** Of all that have come to no end yet, by the same reason. */
export async function recordCohortFailure(
  ledger: pg.Pool,
  { fleet, cycle, errorType, reason }: CycleRef & Omit<CohortFailure, "customerKey">,
): Promise<void> {
  await ledger.query(
    `update customers set state = 'failed', error_type = $3, reason = $4, updated_at = now()
      where fleet = $1 and cycle = $2 and shard is not null and state in ('planned', 'training', 'trained')`,
    [fleet, cycle, errorType, reason],
  );
}

export interface CohortTotals {
  readonly evaluated: number;
  readonly championKept: number;
  readonly failed: number;
}

/** What has become of the cohort; customers released by an earlier run of the cycle are not counted. */
export async function countCohort(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<CohortTotals> {
  const { rows } = await ledger.query<CohortTotals>(
    `select count(*) filter (where state = 'evaluated')::int as evaluated,
            count(*) filter (where state = 'champion-kept')::int as "championKept",
            count(*) filter (where state = 'failed')::int as failed
       from customers where fleet = $1 and cycle = $2 and shard is not null`,
    [fleet, cycle],
  );
  return rows[0] ?? { evaluated: 0, championKept: 0, failed: 0 };
}
