/** The ledger's generations of a preprocessor: which of them a stage has models behind. */
import type pg from "pg";
import type { StageRef } from "./publications.js";

export interface Preprocessor {
  readonly generation: number;
  /** Of the cycle that fitted it. */
  readonly specHash: string;
  readonly artifactUri: string;
}

/** All of a fleet, the oldest first. */
export async function readPreprocessors(ledger: pg.Pool, fleet: string): Promise<Preprocessor[]> {
  const { rows } = await ledger.query<Preprocessor>(
    `select generation, spec_hash as "specHash", artifact_uri as "artifactUri"
       from preprocessors where fleet = $1 order by generation`,
    [fleet],
  );
  return rows;
}

/** Of the versions that serve, or are about to; null: behind the endpoint that has no preprocessor. */
export async function readServedGenerations(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
): Promise<(number | null)[]> {
  const { rows } = await ledger.query<{ generation: number | null }>(
    `select distinct r.generation
       from publications p join releases r using (fleet, customer_key, version)
      where p.fleet = $1 and p.stage = $2 and p.state in ('serving', 'copied')
        and p.endpoint_kind in ('multi-model', 'pipeline')`,
    [fleet, stage],
  );
  return rows.map(({ generation }) => generation);
}

/** Whose serving version has been denied, and another is to take its place. */
export async function readLeavingCustomers(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
): Promise<string[]> {
  const { rows } = await ledger.query<{ customerKey: string }>(
    `select distinct customer_key as "customerKey" from withdrawals
      where fleet = $1 and stage = $2 and state = 'asked'`,
    [fleet, stage],
  );
  return rows.map(({ customerKey }) => customerKey);
}

/** Whether some customers of the stage are served by endpoints of other kinds, and none by the multi-model one. */
export async function isServedOtherwise(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
): Promise<boolean> {
  const { rows } = await ledger.query<{ otherwise: boolean | null }>(
    `select bool_and(endpoint_kind <> 'multi-model') as otherwise
       from publications where fleet = $1 and stage = $2 and state in ('serving', 'copied')`,
    [fleet, stage],
  );
  return rows[0]?.otherwise === true;
}
