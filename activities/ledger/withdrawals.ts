/** The ledger's withdrawals: which versions shall no longer serve, who said so, and what serves instead. */
import type pg from "pg";
import type { EndpointKind } from "../../fleet/serving.js";
import { COLLECTED_WORDS, type RecordedVersion } from "../../fleet/way-back.js";
import {
  lockCustomer,
  type LockedVersion,
  type PublicationState,
  type ServingVersion,
  type StageRef,
  type VersionRef,
} from "./publications.js";
import { inTransaction } from "./transaction.js";

/** One version of a customer's model, with all that letting it serve again takes. */
export interface CustomerVersion extends RecordedVersion {
  readonly publication: PublicationState | null;
  /** As it was published in this stage; null when it never was. */
  readonly targetModel: string | null;
  readonly endpointKind: EndpointKind | null;
  /** Of the preprocessor that it needs before it; null without one. */
  readonly generation: number | null;
  readonly artifactUri: string;
  readonly modelPackageArn: string;
  /** Its model package is that of a whole cohort. */
  readonly cohort: boolean;
  readonly verificationRows: readonly string[];
  readonly predictions: readonly number[];
  /** Set when the version has been denied since its approval. */
  readonly withdrawal: {
    readonly to: number | null;
    readonly passedOver: readonly number[];
    readonly askedBy: string;
    readonly because: string | null;
    /** The customer has left: nothing serves instead. */
    readonly retires: boolean;
  } | null;
}

/** Of a fleet ($1) in a stage ($2); which ones, and in which order, follows. */
export const CUSTOMER_VERSIONS = `
  select r.customer_key as "customerKey", r.version, r.state, r.cohort, p.verification is not null as verified,
          coalesce(p.state = 'serving', false) as serves, r.collected_at is not null as collected,
          p.state as publication, p.target_model as "targetModel", p.endpoint_kind as "endpointKind", r.generation,
          r.artifact_uri as "artifactUri",
          r.model_package_arn as "modelPackageArn", coalesce(c.verification, '[]') as "verificationRows",
          coalesce(e.predictions, '[]') as predictions,
          case when w.version is not null then json_build_object(
            'to', w.to_version, 'passedOver', w.passed_over, 'askedBy', w.asked_by, 'because', w.because,
            'retires', w.retires)
            end as withdrawal
     from releases r
     left join customers c using (fleet, cycle, customer_key)
     left join evaluations e using (fleet, cycle, customer_key)
     left join publications p on p.fleet = r.fleet and p.stage = $2 and p.customer_key = r.customer_key
                             and p.version = r.version
     left join withdrawals w on w.fleet = r.fleet and w.stage = $2 and w.customer_key = r.customer_key
                            and w.version = r.version`;

/** All versions of one customer's model, newest first. */
export async function readCustomerVersions(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  customerKey: string,
): Promise<CustomerVersion[]> {
  const { rows } = await ledger.query<CustomerVersion>(
    `${CUSTOMER_VERSIONS}
      where r.fleet = $1 and r.customer_key = $3 order by r.version desc`,
    [fleet, stage, customerKey],
  );
  return rows;
}

export interface NewWithdrawal extends StageRef, VersionRef {
  readonly to?: number | undefined;
  readonly by: string;
  readonly because?: string | undefined;
  /** Nobody denies it: its customer has left, and nothing serves instead. */
  readonly retires?: boolean | undefined;
  readonly workflowId: string;
}

/**
 * From now on the version is published no more, and is nobody's way back. Asked for twice is asked for once. The locks are
 * those under which retention collects versions: it has taken `to` before, and that is told, or it leaves `to` alone.
 */
export async function recordWithdrawal(ledger: pg.Pool, o: NewWithdrawal): Promise<void> {
  await inTransaction(ledger, async (connection) => {
    await connection.query(
      "select from releases where fleet = $1 and customer_key = $2 order by version for update",
      [o.fleet, o.customerKey],
    );
    await connection.query(
      `with asked as (
         insert into withdrawals (fleet, stage, customer_key, version, to_version, asked_by, because, workflow_id,
                                  retires, state, reason)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $10, 'asked',
                 (select 'version ' || version || ' cannot serve again: ' || $9 from releases
                   where fleet = $1 and customer_key = $3 and version = $5 and collected_at is not null))
         on conflict do nothing),
       release as (
         update releases set state = case when $10 then 'retired' else 'withdrawn' end
          where fleet = $1 and customer_key = $3 and version = $4
            and state in ('approved', 'serving', 'retired', 'rejected', 'denied')
         returning cycle)
       update customers c set state = 'withdrawn', updated_at = now(),
              reason = 'denied by ' || $6 || coalesce(': ' || $7, '')
         from release
        where c.fleet = $1 and c.cycle = release.cycle and c.customer_key = $3 and not $10`,
      [
        ...[o.fleet, o.stage, o.customerKey, o.version, o.to ?? null],
        ...[o.by, o.because ?? null, o.workflowId, COLLECTED_WORDS, o.retires ?? false],
      ],
    );
  });
}

/**
 * The stages that a withdrawal of the version concerns, production (the last) first: those that have copied it, served
 * it or still do, and those where it is being withdrawn already.
 */
export async function stagesOfVersion(
  ledger: pg.Pool,
  { fleet, customerKey, version }: { readonly fleet: string } & VersionRef,
): Promise<string[]> {
  const { rows } = await ledger.query<{ stage: string }>(
    `with spec as (
       select f.spec from releases r
         join cycles y using (fleet, cycle)
         join customers c using (fleet, cycle, customer_key)
         join fleet_specs f on f.fleet = r.fleet and f.spec_hash = coalesce(c.planned_spec_hash, y.spec_hash)
        where r.fleet = $1 and r.customer_key = $2 and r.version = $3)
     select t.stage from (
       select stage from publications where fleet = $1 and customer_key = $2 and version = $3
        union select stage from withdrawals where fleet = $1 and customer_key = $2 and version = $3) t
       left join lateral (
         select s.place from spec, jsonb_array_elements(spec -> 'stages') with ordinality as s (stage, place)
          where s.stage ->> 'name' = t.stage limit 1) p on true
      order by p.place desc nulls last, t.stage`,
    [fleet, customerKey, version],
  );
  return rows.map((row) => row.stage);
}

export interface WayBackStep {
  readonly customerKey: string;
  /** The version that leaves. */
  readonly version: number;
  /** What has been verified to serve instead; null: nothing does. */
  readonly next: (Omit<ServingVersion, "customerKey"> & { readonly targetModel: string }) | null;
}

/**
 * Lets `next` serve instead of the withdrawn version. False, with nothing changed, when meanwhile another version
 * serves or `next` was denied too: the caller looks again. `point` runs while nobody else can change what this
 * customer is served.
 */
export async function recordWayBack(
  ledger: pg.Pool,
  place: StageRef,
  step: WayBackStep,
  point: () => Promise<void>,
): Promise<boolean> {
  return inTransaction(ledger, async (connection) => {
    const standing = await lockCustomer(connection, place, step.customerKey);
    const serving = standing.find((row) => row.serves);
    if (serving?.version !== step.version) return false;
    const next = standing.find((row) => row.version === step.next?.version);
    if (step.next !== null && !(next !== undefined && maySettle(next))) return false;
    await point();
    await swap(connection, place, step);
    return true;
  });
}

const maySettle = ({ state, collected }: LockedVersion): boolean =>
  !collected && (state === "retired" || state === "approved" || state === "serving");

async function swap(
  connection: pg.PoolClient,
  { fleet, stage }: StageRef,
  { customerKey, version, next }: WayBackStep,
): Promise<void> {
  const key = [fleet, stage, customerKey];
  await connection.query(
    `update publications p set state = 'withdrawn', updated_at = now(),
            reason = (select case when w.retires then 'retired' else 'denied by ' || w.asked_by end
                             || coalesce(': ' || w.because, '') from withdrawals w
                       where w.fleet = $1 and w.stage = $2 and w.customer_key = $3 and w.version = $4)
      where p.fleet = $1 and p.stage = $2 and p.customer_key = $3 and p.version = $4`,
    [...key, version],
  );
  await connection.query(
    `update withdrawals set state = 'moved', serves_version = $5, moved_at = now()
      where fleet = $1 and stage = $2 and customer_key = $3 and version = $4`,
    [...key, version, next?.version ?? null],
  );
  if (next === null) {
    await connection.query(
      `update customer_endpoints set version = null, state = 'wanted', updated_at = now()
        where fleet = $1 and stage = $2 and customer_key = $3`,
      key,
    );
    return;
  }
  await connection.query(
    `update publications set state = 'serving', reason = null, verification = $5::jsonb, updated_at = now(),
            target_model = $6,
            endpoint_kind = (select l.endpoint_kind from publications l
                              where l.fleet = $1 and l.stage = $2 and l.customer_key = $3 and l.version = $7)
      where fleet = $1 and stage = $2 and customer_key = $3 and version = $4`,
    [...key, next.version, JSON.stringify(next.verification), next.targetModel, version],
  );
  await connection.query(
    `with release as (
       update releases set state = 'serving'
        where fleet = $1 and customer_key = $2 and version = $3 returning cycle)
     update customers c set state = 'serving', reason = null, updated_at = now() from release
      where c.fleet = $1 and c.cycle = release.cycle and c.customer_key = $2`,
    [fleet, customerKey, next.version],
  );
}

/** The version did not serve (any more) when its withdrawal came to it: there was nothing to move. */
export async function recordNothingToMove(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  {
    customerKey,
    version,
    servesVersion,
    because,
  }: VersionRef & { readonly servesVersion: number | null; readonly because: string },
): Promise<void> {
  await ledger.query(
    `with publication as (
       update publications set state = 'withdrawn', reason = $6, updated_at = now()
        where fleet = $1 and stage = $2 and customer_key = $3 and version = $4
          and state in ('copied', 'rejected', 'replaced'))
     update withdrawals set state = 'moved', serves_version = $5, moved_at = now()
      where fleet = $1 and stage = $2 and customer_key = $3 and version = $4 and state = 'asked'`,
    [fleet, stage, customerKey, version, servesVersion, because],
  );
}

/** Not to be tried again as the way back of this withdrawal. */
export async function recordPassedOver(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  passed: VersionRef & { readonly candidate: number; readonly because: string },
): Promise<void> {
  await ledger.query(
    `update withdrawals
        set passed_over = case when $5 = any(passed_over) then passed_over else passed_over || $5::int end,
            reason = concat_ws('; ', reason, $6::text)
      where fleet = $1 and stage = $2 and customer_key = $3 and version = $4 and state = 'asked'`,
    [
      fleet,
      stage,
      passed.customerKey,
      passed.version,
      passed.candidate,
      `version ${passed.candidate} cannot serve again: ${passed.because}`.slice(0, 1000),
    ],
  );
}

export async function recordDelay(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  { customerKey, version }: VersionRef,
  because: string,
): Promise<void> {
  await ledger.query(
    `update withdrawals set reason = $5
      where fleet = $1 and stage = $2 and customer_key = $3 and version = $4 and state = 'asked'`,
    [fleet, stage, customerKey, version, because.slice(0, 1000)],
  );
}

/** That of a customer who has left is over with it: nobody has denied the version. */
export async function recordRemoved(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  { customerKey, version }: VersionRef,
): Promise<void> {
  await ledger.query(
    `with over as (
       delete from withdrawals
        where fleet = $1 and stage = $2 and customer_key = $3 and version = $4 and state = 'moved' and retires)
     update withdrawals set state = 'removed'
      where fleet = $1 and stage = $2 and customer_key = $3 and version = $4 and state = 'moved' and not retires`,
    [fleet, stage, customerKey, version],
  );
}
