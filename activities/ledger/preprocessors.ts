/** The preprocessors of a fleet, one for each generation, and whose rows they prepare. */
import type pg from "pg";
import type { CycleRef } from "./cycles.js";

export interface Preprocessor {
  readonly generation: number;
  /** Of the spec that it was fitted for. */
  readonly specHash: string;
  readonly artifactUri: string;
}

export async function findPreprocessor(
  ledger: pg.Pool,
  { fleet, hash }: { readonly fleet: string; readonly hash: string },
): Promise<Preprocessor | undefined> {
  const { rows } = await ledger.query<Preprocessor>(
    `select generation, spec_hash as "specHash", artifact_uri as "artifactUri"
       from preprocessors where fleet = $1 and preprocessor_hash = $2`,
    [fleet, hash],
  );
  return rows[0];
}

export async function readPreprocessor(
  ledger: pg.Pool,
  { fleet, generation }: { readonly fleet: string; readonly generation: number },
): Promise<Preprocessor> {
  const { rows } = await ledger.query<Preprocessor>(
    `select generation, spec_hash as "specHash", artifact_uri as "artifactUri"
       from preprocessors where fleet = $1 and generation = $2`,
    [fleet, generation],
  );
  const [row] = rows;
  if (row === undefined)
    throw new Error(`fleet ${fleet} has no preprocessor of generation ${generation}`);
  return row;
}

export interface NewPreprocessor extends CycleRef {
  readonly hash: string;
  readonly specHash: string;
  readonly trainingJobName: string;
  readonly artifactUri: string;
}

/** The next generation; of one that is there already, its own. */
export async function recordPreprocessor(ledger: pg.Pool, o: NewPreprocessor): Promise<number> {
  await ledger.query(
    `insert into preprocessors (fleet, generation, preprocessor_hash, spec_hash, cycle, training_job_name,
                                artifact_uri)
     select $1, coalesce(max(generation), 0) + 1, $2, $3, $4, $5, $6 from preprocessors where fleet = $1
     on conflict (fleet, preprocessor_hash) do nothing`,
    [o.fleet, o.hash, o.specHash, o.cycle, o.trainingJobName, o.artifactUri],
  );
  const recorded = await findPreprocessor(ledger, o);
  if (recorded === undefined) throw new Error(`preprocessor of ${o.fleet} not recorded`);
  return recorded.generation;
}

export interface PlannedRows {
  readonly customerKey: string;
  readonly dataHash: string | null;
  /** Of the preprocessor that the champion was made with; null without one. */
  readonly championGeneration: number | null;
}

/** The customers that the cycle trains, in the order of their keys, whatever has become of them since. */
export async function plannedRows(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<PlannedRows[]> {
  const { rows } = await ledger.query<PlannedRows>(
    `select c.customer_key as "customerKey", c.data_hash as "dataHash",
            r.generation as "championGeneration"
       from customers c
       left join releases r
              on r.fleet = c.fleet and r.customer_key = c.customer_key and r.version = c.champion_version
      where c.fleet = $1 and c.cycle = $2 and c.shard is not null
        and not exists (select from releases made where made.fleet = c.fleet and made.cycle = c.cycle
                           and made.customer_key = c.customer_key)
      order by c.customer_key`,
    [fleet, cycle],
  );
  return rows;
}

/** From now on the cycle trains on these rows. */
export async function recordTransformed(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  o: { readonly folder: string; readonly generation: number },
): Promise<void> {
  await ledger.query(
    "update cycles set transformed = $3, generation = $4 where fleet = $1 and cycle = $2",
    [fleet, cycle, o.folder, o.generation],
  );
}

/** What a model of the cycle is made of: its columns, the target first. */
export async function readModelColumns(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<unknown> {
  const { rows } = await ledger.query<{ columns: unknown }>(
    "select columns from cycles where fleet = $1 and cycle = $2",
    [fleet, cycle],
  );
  return rows[0]?.columns ?? null;
}
