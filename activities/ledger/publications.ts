/** The ledger's publications: which version of a customer's model a stage has copied, serves, or rejected. */
import type pg from "pg";
import { COHORT_KEY, targetModel, type ArtifactNaming } from "../../fleet/names.js";
import { servingAddress, type Serving, type ServingAddress } from "../../fleet/serving.js";
import type { StageApproval } from "../../fleet/stages.js";
import { COLLECTED_WORDS, withdrawalWords, type RecordedState } from "../../fleet/way-back.js";
import { inTransaction } from "./transaction.js";

export interface StageRef {
  readonly fleet: string;
  readonly stage: string;
}

export interface VersionRef {
  readonly customerKey: string;
  readonly version: number;
}

export type PublicationState = "copied" | "serving" | "rejected" | "replaced" | "withdrawn";

/** A version that is asked for, with what the ledger knows about it. */
export interface AskedVersion extends VersionRef {
  /** Null when the ledger has no such version. */
  readonly release: {
    readonly state: RecordedState;
    readonly decidedBy: string | null;
    readonly artifactUri: string;
    readonly modelPackageArn: string;
    /** Retention has taken its artifact. */
    readonly collected: boolean;
    /** Who denied it after its approval. */
    readonly withdrawal: { readonly by: string; readonly because: string | null } | null;
  } | null;
  /** Null before the version was copied or rejected in this stage. */
  readonly publication: {
    readonly state: PublicationState;
    readonly reason: string | null;
  } | null;
  /** The artifact's name among the endpoint's models, by the spec that the version was made with. */
  readonly targetModel: string;
  /** By that spec as well. */
  readonly serving: Serving;
  readonly address: ServingAddress;
  /** Of that spec; null when the ledger has no such version. */
  readonly specHash: string | null;
  /** What this stage wants of a version, by that spec. */
  readonly stageApproval: StageApproval;
  /** Somebody has approved it for this stage; of one that wants that. */
  readonly isStageApproved: boolean;
  /** What serves this customer; null when nothing does. */
  readonly servingVersion: number | null;
  /** Held-out rows as CSV without the target. */
  readonly verificationRows: readonly string[];
  /** Training's predictions for them. */
  readonly predictions: readonly number[];
}

type AskedRow = Omit<AskedVersion, "targetModel" | "serving" | "address"> & {
  readonly naming: ArtifactNaming | null;
  readonly kind: Serving["kind"] | null;
  readonly generation: number | null;
};

/** In the order asked. */
export async function readAskedVersions(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  asked: readonly VersionRef[],
): Promise<AskedVersion[]> {
  const { rows } = await ledger.query<AskedRow>(
    `select a.customer_key as "customerKey", a.version,
            case when r.version is not null then json_build_object(
              'state', r.state, 'decidedBy', r.decided_by, 'artifactUri', r.artifact_uri,
              'modelPackageArn', r.model_package_arn, 'collected', r.collected_at is not null, 'withdrawal',
              (select json_build_object('by', w.asked_by, 'because', w.because) from withdrawals w
                where w.fleet = $1 and w.customer_key = a.customer_key and w.version = a.version
                order by w.asked_at limit 1)) end as release,
            case when p.version is not null then
              json_build_object('state', p.state, 'reason', p.reason) end as publication,
            f.spec #>> '{endpoint,naming}' as naming, f.spec #>> '{endpoint,kind}' as kind, r.generation,
            f.spec_hash as "specHash",
            coalesce((select s ->> 'approval' from jsonb_array_elements(f.spec -> 'stages') s
                       where s ->> 'name' = $2 limit 1), 'release') as "stageApproval",
            exists (select from promotions o
                     where o.fleet = $1 and o.stage = $2 and o.version = a.version
                       and o.customer_key = case when r.cohort then '${COHORT_KEY}' else a.customer_key end
                       and o.approved_by is not null) as "isStageApproved",
            (select max(s.version) from publications s
              where s.fleet = $1 and s.stage = $2 and s.customer_key = a.customer_key and s.state = 'serving')
              as "servingVersion",
            coalesce(c.verification, '[]') as "verificationRows", coalesce(e.predictions, '[]') as predictions
       from unnest($3::text[], $4::int[]) with ordinality as a (customer_key, version, place)
       left join releases r on r.fleet = $1 and r.customer_key = a.customer_key and r.version = a.version
       left join cycles y on y.fleet = $1 and y.cycle = r.cycle
       left join customers c on c.fleet = $1 and c.cycle = r.cycle and c.customer_key = a.customer_key
       left join fleet_specs f on f.fleet = $1 and f.spec_hash = coalesce(c.planned_spec_hash, y.spec_hash)
       left join evaluations e on e.fleet = $1 and e.cycle = r.cycle and e.customer_key = a.customer_key
       left join publications p on p.fleet = $1 and p.stage = $2 and p.customer_key = a.customer_key
                               and p.version = a.version
      order by a.place`,
    [fleet, stage, ...columnsOf(asked)],
  );
  return rows.map(({ naming: named, kind, generation, ...row }) => {
    const { customerKey, version } = row;
    const naming = named ?? "versioned";
    const serving = { kind: kind ?? "multi-model", naming, generation };
    const address = servingAddress(serving, { fleet, stage, customerKey, version });
    return { ...row, serving, address, targetModel: targetModel(customerKey, version, naming) };
  });
}

export interface NamedVersion extends VersionRef {
  readonly targetModel: string;
  readonly serving: Pick<Serving, "kind">;
}

/** What was rejected before is open again, as its approval stands; what serves, or has served, stays as it is. */
export async function recordCopied(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  copied: readonly NamedVersion[],
): Promise<void> {
  await ledger.query(
    `with copied as (
       select distinct customer_key, version, target_model, endpoint_kind
         from unnest($3::text[], $4::int[], $5::text[], $6::text[])
              as c (customer_key, version, target_model, endpoint_kind)),
     publication as (
       insert into publications as p (fleet, stage, customer_key, version, target_model, endpoint_kind, state)
       select $1, $2, customer_key, version, target_model, endpoint_kind, 'copied' from copied
       on conflict (fleet, stage, customer_key, version) do update
         set state = 'copied', target_model = excluded.target_model, endpoint_kind = excluded.endpoint_kind,
             reason = null, updated_at = now()
         where p.state = 'rejected'),
     release as (
       update releases r set state = 'approved', note = null from copied c
        where r.fleet = $1 and r.customer_key = c.customer_key and r.version = c.version and r.state = 'rejected'
       returning r.customer_key, r.cycle)
     update customers c set state = 'approved', reason = null, updated_at = now() from release x
      where c.fleet = $1 and c.cycle = x.cycle and c.customer_key = x.customer_key and c.state = 'rejected'`,
    [
      ...[fleet, stage, ...columnsOf(copied), copied.map((one) => one.targetModel)],
      copied.map(({ serving }) => serving.kind),
    ],
  );
}

export interface Rejection extends Omit<NamedVersion, "serving"> {
  readonly because: string;
}

/**
 * What serves, or has served, is left alone. A release keeps its state unless it was approved: a request to
 * publish what nobody has decided about must not decide.
 */
export async function recordRejected(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  rejections: readonly Rejection[],
): Promise<void> {
  await ledger.query(
    `with rejected as (
       insert into publications as p (fleet, stage, customer_key, version, target_model, state, reason)
       select distinct on (customer_key, version) $1, $2, customer_key, version, target_model, 'rejected', because
         from unnest($3::text[], $4::int[], $5::text[], $6::text[])
              as a (customer_key, version, target_model, because)
       on conflict (fleet, stage, customer_key, version) do update
         set state = 'rejected', reason = excluded.reason, updated_at = now()
         where p.state in ('copied', 'rejected')
       returning customer_key, version, reason),
     release as (
       update releases r set state = 'rejected', note = x.reason from rejected x
        where r.fleet = $1 and r.customer_key = x.customer_key and r.version = x.version
          and r.state in ('approved', 'rejected')
       returning r.customer_key, r.cycle, r.note)
     update customers c set state = 'rejected', reason = x.note, updated_at = now() from release x
      where c.fleet = $1 and c.cycle = x.cycle and c.customer_key = x.customer_key
        and c.state in ('pending', 'approved', 'rejected')`,
    [
      fleet,
      stage,
      ...columnsOf(rejections),
      rejections.map((one) => one.targetModel),
      rejections.map(({ because }) => because),
    ],
  );
}

export interface ServingVersion extends VersionRef {
  readonly verification: {
    readonly offline: readonly number[];
    readonly served: readonly number[];
    readonly latencyMs: number;
  };
}

/**
 * Lets the version serve, unless a newer one does or it was denied meanwhile: then returns why, and nothing has
 * changed. `point` runs while nobody else can change what this customer is served, so that the pointer never goes
 * back, and a denial comes either before (and is seen here) or after (and finds a version that serves).
 */
export async function recordServing(
  ledger: pg.Pool,
  place: StageRef,
  version: ServingVersion,
  point: () => Promise<void>,
): Promise<string | null> {
  return inTransaction(ledger, async (connection) => {
    const standing = await lockCustomer(connection, place, version.customerKey);
    const newer = standing.find((row) => row.serves && row.version > version.version);
    if (newer !== undefined) return `version ${newer.version} serves, which is newer`;
    const own = standing.find((row) => row.version === version.version);
    const refusal = own === undefined ? null : denialOf(own);
    if (refusal !== null) return refusal;
    await point();
    await replace(connection, place, version);
    return null;
  });
}

export interface LockedVersion {
  readonly version: number;
  readonly serves: boolean;
  readonly state: RecordedState;
  readonly collected: boolean;
  readonly decidedBy: string | null;
  /** Of a withdrawal. */
  readonly askedBy: string | null;
  readonly because: string | null;
}

/** All versions of these customers: publications first, releases second, by customer, as everybody locks. */
export async function lockCustomers(
  connection: pg.PoolClient,
  { fleet, stage }: StageRef,
  customerKeys: readonly string[],
): Promise<void> {
  await connection.query(
    `select from publications where fleet = $1 and stage = $2 and customer_key = any($3)
      order by customer_key, version for update`,
    [fleet, stage, customerKeys],
  );
  await connection.query(
    `select from releases where fleet = $1 and customer_key = any($2) order by customer_key, version for update`,
    [fleet, customerKeys],
  );
}

/** Locks one customer's versions, and tells how each stands. */
export async function lockCustomer(
  connection: pg.PoolClient,
  { fleet, stage }: StageRef,
  customerKey: string,
): Promise<LockedVersion[]> {
  await lockCustomers(connection, { fleet, stage }, [customerKey]);
  const { rows } = await connection.query<LockedVersion>(
    `select r.version, coalesce(p.state = 'serving', false) as serves, r.state,
            r.collected_at is not null as collected, r.decided_by as "decidedBy", w.asked_by as "askedBy", w.because
       from releases r
       left join publications p on p.fleet = r.fleet and p.stage = $2 and p.customer_key = r.customer_key
                               and p.version = r.version
       left join withdrawals w on w.fleet = r.fleet and w.stage = $2 and w.customer_key = r.customer_key
                              and w.version = r.version
      where r.fleet = $1 and r.customer_key = $3 order by r.version`,
    [fleet, stage, customerKey],
  );
  return rows;
}

/** Why an approval no longer holds; null when it does. */
function denialOf({ state, collected, decidedBy, askedBy, because }: LockedVersion): string | null {
  if (collected) return COLLECTED_WORDS;
  if (askedBy !== null) return withdrawalWords({ by: askedBy, because });
  return state === "denied" || state === "withdrawn"
    ? `${decidedBy ?? "somebody"} denied it`
    : null;
}

async function replace(
  connection: pg.PoolClient,
  { fleet, stage }: StageRef,
  { customerKey, version, verification }: ServingVersion,
): Promise<void> {
  const key = [fleet, customerKey, version];
  await connection.query(
    `update publications
        set state = case when version = $3 then 'serving' else 'replaced' end, reason = null,
            verification = case when version = $3 then $5::jsonb else verification end, updated_at = now()
      where fleet = $1 and customer_key = $2 and stage = $4 and (version = $3 or state = 'serving')`,
    [...key, stage, JSON.stringify(verification)],
  );
  // One that another stage serves is not retired; one that nobody has approved does not become the champion.
  await connection.query(
    `update releases r
        set state = case when r.version = $3 then 'serving' else 'retired' end
      where r.fleet = $1 and r.customer_key = $2
        and (r.version = $3 and r.state <> 'pending'
             or r.version <> $3 and r.state = 'serving' and not exists
                (select from publications p
                  where p.fleet = $1 and p.customer_key = $2 and p.version = r.version and p.state = 'serving'))`,
    key,
  );
  await connection.query(
    `update customers c set state = 'serving', reason = null, updated_at = now()
       from releases r
      where r.fleet = $1 and r.customer_key = $2 and r.version = $3 and r.state = 'serving'
        and c.fleet = r.fleet and c.cycle = r.cycle and c.customer_key = r.customer_key
        and c.state in ('pending', 'approved', 'rejected', 'serving')`,
    key,
  );
}

const columnsOf = (versions: readonly VersionRef[]): [string[], number[]] => [
  versions.map(({ customerKey }) => customerKey),
  versions.map(({ version }) => version),
];
