/** The ledger's cohorts: who is in one, what was decided about it, and how its members stand. */
import type pg from "pg";
import type { CohortFigures, Quartiles } from "../../fleet/cohort.js";
import { FAILURES } from "../../fleet/errors.js";
import type { Decision } from "../../workflows/messages.js";
import { permanent } from "../application-failure.js";
import type { CycleRef } from "./cycles.js";
import type { StageRef } from "./publications.js";
import { inTransaction } from "./transaction.js";

export interface CohortRef {
  readonly fleet: string;
  readonly version: number;
}

export type CohortState =
  "pending" | "approved" | "published" | "denied" | "superseded" | "expired" | "withdrawn";

export interface Cohort extends CohortRef {
  readonly cycle: string;
  readonly specHash: string;
  readonly state: CohortState;
  readonly members: number;
  readonly figures: CohortFigures;
  readonly modelPackageArn: string;
  readonly decidedBy: string | null;
  readonly note: string | null;
}

const COHORT = `
  select h.fleet, h.version, h.cycle, y.spec_hash as "specHash", h.state, h.members, h.figures,
         h.model_package_arn as "modelPackageArn", h.decided_by as "decidedBy", h.note
    from cohorts h join cycles y using (fleet, cycle)`;

/** Throws SpecInvalid when there is none. */
export async function readCohort(ledger: pg.Pool, ref: CohortRef): Promise<Cohort> {
  const { rows } = await ledger.query<Cohort>(`${COHORT} where h.fleet = $1 and h.version = $2`, [
    ref.fleet,
    ref.version,
  ]);
  const [row] = rows;
  if (row === undefined)
    throw permanent(FAILURES.specInvalid, {
      message: `the ledger has no cohort ${ref.version} of fleet "${ref.fleet}"`,
      hint: `modelfleet history ${ref.fleet} lists the cycles with their cohorts`,
    });
  return row;
}

/** The newest that the cycle has made; undefined when it has made none. */
export async function findCohortOf(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
): Promise<Cohort | undefined> {
  const { rows } = await ledger.query<Cohort>(
    `${COHORT} where h.fleet = $1 and h.cycle = $2 order by h.version desc limit 1`,
    [fleet, cycle],
  );
  return rows[0];
}

/** Who is to become a cohort: evaluated customers of the cycle that have no version of it yet. */
const CONTENDERS = `
  from customers c join evaluations e using (fleet, cycle, customer_key)
 where c.fleet = $1 and c.cycle = $2 and c.state = 'evaluated' and e.decision in ('approve', 'ask')
   and not exists (select from releases r where r.fleet = c.fleet and r.cycle = c.cycle
                                            and r.customer_key = c.customer_key)`;

export interface Contenders {
  readonly members: number;
  /** Of who they are and of their artifacts: the same contenders have the same. */
  readonly hash: string;
  readonly trainingJobName: string;
  /** The first and the last of their artifacts, in the order of their bytes. */
  readonly firstArtifact: string;
  readonly lastArtifact: string;
  readonly figures: CohortFigures;
}

interface ContendersRow extends Omit<Contenders, "figures"> {
  readonly asking: number;
  readonly error: readonly number[] | null;
  readonly improvement: readonly number[] | null;
  readonly championKept: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Undefined when there are none. `metric` is the gate's. */
export async function readContenders(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  metric: string,
): Promise<Contenders | undefined> {
  const { rows } = await ledger.query<ContendersRow>(
    `with contenders as (
       select c.customer_key, e.artifact_uri, e.training_job_name, e.decision,
              (e.metrics ->> $3)::float8 as error, (e.improvement ->> 'estimate')::float8 as improvement
       ${CONTENDERS}),
     others as (
       select count(*) filter (where state = 'champion-kept')::int as "championKept",
              count(*) filter (where state = 'failed')::int as failed,
              count(*) filter (where state = 'skipped')::int as skipped
         from customers where fleet = $1 and cycle = $2)
     select count(*)::int as members, count(*) filter (where decision = 'ask')::int as asking,
            md5(string_agg(customer_key || ' ' || artifact_uri, e'\\n' order by customer_key collate "C")) as hash,
            min(training_job_name) as "trainingJobName",
            min(artifact_uri collate "C") as "firstArtifact", max(artifact_uri collate "C") as "lastArtifact",
            percentile_cont('{0.25,0.5,0.75}'::float8[]) within group (order by error) as error,
            percentile_cont('{0.25,0.5,0.75}'::float8[]) within group (order by improvement) as improvement,
            (select "championKept" from others), (select failed from others), (select skipped from others)
       from contenders`,
    [fleet, cycle, metric],
  );
  const [row] = rows;
  if (row === undefined || row.members === 0) return undefined;
  const { asking, error, improvement, championKept, failed, skipped, ...contenders } = row;
  const compared = { error: quartiles(error), improvement: quartiles(improvement) };
  return {
    ...contenders,
    figures: { metric, asking, ...compared, championKept, failed, skipped },
  };
}

function quartiles(values: readonly (number | null)[] | null): Quartiles | null {
  const [low = null, median = null, high = null] = values ?? [];
  return low === null || median === null || high === null ? null : { low, median, high };
}

/** One member's figures, as the registry's report has them. */
export interface ContenderFigures {
  readonly customerKey: string;
  readonly figures: object;
}

/** The next contenders by their keys. */
export async function readContenderFigures(
  ledger: pg.Pool,
  { fleet, cycle }: CycleRef,
  page: { readonly after: string; readonly limit: number },
): Promise<ContenderFigures[]> {
  const { rows } = await ledger.query<ContenderFigures>(
    `select c.customer_key as "customerKey", jsonb_build_object(
              'customer', c.customer, 'metrics', e.metrics, 'champion_metrics', e.champion_metrics,
              'champion_version', e.champion_version, 'baseline_metrics', e.baseline_metrics,
              'improvement', e.improvement, 'decision', e.decision, 'reasons', e.reasons,
              'artifact', e.artifact_uri) as figures
     ${CONTENDERS} and c.customer_key > $3 order by c.customer_key limit $4`,
    [fleet, cycle, page.after, page.limit],
  );
  return rows;
}

/**
 * Thousands of rows have just been written, and Postgres would plan with what it knew before: nested loops over all
 * of them, which takes minutes in place of a second. Seconds for a ledger of any size, as it samples.
 */
export async function learnSizes(
  ledger: pg.Pool,
  tables: readonly ("customers" | "evaluations" | "releases" | "publications" | "withdrawals")[],
): Promise<void> {
  await ledger.query(`analyze ${tables.join(", ")}`);
}

export interface NewCohort extends CycleRef {
  readonly version: number;
  readonly modelPackageArn: string;
  readonly workflowId: string;
  readonly approvedBy: string | null;
  readonly figures: CohortFigures;
}

/** All of its members or none: however often it is tried, a cohort is never half there. Returns how many. */
export async function recordCohort(ledger: pg.Pool, o: NewCohort): Promise<number> {
  const state = o.approvedBy === null ? "pending" : "approved";
  return inTransaction(ledger, async (connection) => {
    const { rowCount } = await connection.query(
      `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name,
                             artifact_uri, state, decided_by, decided_at, workflow_id, cohort)
       select c.fleet, c.customer_key, $3, c.cycle, $4, e.training_job_name, e.artifact_uri, $5::text, $6::text,
              case when $6::text is null then null else now() end, $7, true
       ${CONTENDERS}`,
      [o.fleet, o.cycle, o.version, o.modelPackageArn, state, o.approvedBy, o.workflowId],
    );
    const members = rowCount ?? 0;
    await connection.query(
      `insert into cohorts (fleet, version, cycle, model_package_arn, workflow_id, state, members, figures,
                            decided_by, decided_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, case when $9::text is null then null else now() end)`,
      [
        ...[o.fleet, o.version, o.cycle, o.modelPackageArn, o.workflowId, state, members],
        ...[JSON.stringify(o.figures), o.approvedBy],
      ],
    );
    await connection.query("analyze releases");
    await connection.query(
      `update customers c set state = $4, reason = e.because, updated_at = now()
         from releases r join evaluations e using (fleet, cycle, customer_key)
        where r.fleet = $1 and r.cycle = $2 and r.version = $3 and r.cohort
          and e.fleet = $1 and e.cycle = $2
          and c.fleet = $1 and c.cycle = $2 and c.customer_key = r.customer_key`,
      [o.fleet, o.cycle, o.version, state],
    );
    return members;
  });
}

/** Workflow ids of older cohorts, of other cycles, that nobody has decided. */
export async function olderUndecidedCohorts(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
): Promise<string[]> {
  const { rows } = await ledger.query<{ workflow_id: string }>(
    `select o.workflow_id from cohorts o join cohorts n on n.fleet = o.fleet and n.version = $2
      where o.fleet = $1 and o.version < $2 and o.cycle <> n.cycle and o.state = 'pending' order by o.version`,
    [fleet, version],
  );
  return rows.map((row) => row.workflow_id);
}

/** The version of a newer cohort of another cycle; null when there is none. */
export async function newerCohort(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
): Promise<number | null> {
  const { rows } = await ledger.query<{ version: number | null }>(
    `select max(n.version) as version from cohorts n join cohorts o on o.fleet = n.fleet and o.version = $2
      where n.fleet = $1 and n.version > $2 and n.cycle <> o.cycle`,
    [fleet, version],
  );
  return rows[0]?.version ?? null;
}

export interface CohortVerdict extends CohortRef {
  readonly decision: Decision;
  readonly state: "approved" | "denied" | "superseded" | "expired";
  /** ISO time of the decision, which may be long before it could be recorded. */
  readonly at: string;
}

/** What people call some members, their ids or their keys, as keys; and what is no member's name. */
export async function resolveMembers(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
  names: readonly string[],
): Promise<{ keys: string[]; unknown: string[] }> {
  if (names.length === 0) return { keys: [], unknown: [] };
  const { rows } = await ledger.query<{ customer: string; customer_key: string }>(
    `select c.customer, c.customer_key from releases r join customers c using (fleet, cycle, customer_key)
      where r.fleet = $1 and r.version = $2 and r.cohort and (c.customer = any($3) or c.customer_key = any($3))`,
    [fleet, version, names],
  );
  // One customer's id may be another's key: then it is the id that was meant.
  const byId = new Map(rows.map((row) => [row.customer, row.customer_key]));
  const keys = new Set(rows.map((row) => row.customer_key));
  const found = names.map((name) => byId.get(name) ?? (keys.has(name) ? name : undefined));
  return {
    keys: found.filter((key) => key !== undefined),
    unknown: names.filter((_name, index) => found[index] === undefined),
  };
}

const LEFT_OUT = "left out when its cohort was approved";

/** A stage that takes what nobody has approved may serve it already. */
const SERVES = `exists (select from publications p
  where p.fleet = r.fleet and p.customer_key = r.customer_key and p.version = r.version and p.state = 'serving')`;

/**
 * Who, when and why is kept for every member; a member moves only from where the decision finds it open. One that
 * serves keeps serving until it is withdrawn. `except` holds customer keys.
 */
export async function recordCohortVerdict(
  ledger: pg.Pool,
  o: CohortVerdict & { readonly except: readonly string[] },
): Promise<void> {
  const from = o.state === "denied" ? ["pending", "approved", "rejected"] : ["pending"];
  const published = o.state === "denied" ? ["published"] : [];
  const { by, note = null } = o.decision;
  await inTransaction(ledger, async (connection) => {
    await lockMembers(connection, o);
    await logDecisions(connection, o);
    await connection.query(
      `with release as (
         update releases r set decided_by = $4, decided_at = $5,
                note = case when customer_key = any($7) then concat_ws(': ', '${LEFT_OUT}', $6::text) else $6 end,
                state = case when customer_key = any($7) then 'denied'
                             when $3 = 'approved' and ${SERVES} then 'serving' else $3 end
          where fleet = $1 and version = $2 and cohort and state = any($8)
         returning customer_key, cycle, state, note)
       update customers c set state = release.state, reason = coalesce(release.note, c.reason), updated_at = now()
         from release
        where c.fleet = $1 and c.cycle = release.cycle and c.customer_key = release.customer_key`,
      [o.fleet, o.version, o.state, by, o.at, note, o.except, from],
    );
    await connection.query(
      `update cohorts set decided_by = $4, decided_at = $5, note = $6,
              state = case when $3 = 'approved' and exists
                (select from releases r where r.fleet = $1 and r.version = $2 and r.cohort and r.state = 'serving')
                then 'published' else $3 end
        where fleet = $1 and version = $2 and state = any($7)`,
      // Denied while a further stage publishes it: the pages that are to come find that here.
      [...[o.fleet, o.version, o.state, by, o.at, note], [...from, ...published]],
    );
  });
}

async function logDecisions(
  connection: pg.PoolClient,
  o: CohortVerdict & { readonly except: readonly string[] },
): Promise<void> {
  // An approval by the policy stands in the releases row alone, which is about to change.
  await connection.query(
    `insert into release_decisions (fleet, customer_key, version, decided_at, state, decided_by)
     select fleet, customer_key, version, decided_at, 'approved', decided_by from releases
      where fleet = $1 and version = $2 and cohort and decided_at is not null and decided_by is not null
        and state in ('approved', 'serving', 'rejected')
     on conflict do nothing`,
    [o.fleet, o.version],
  );
  await connection.query(
    `insert into release_decisions (fleet, customer_key, version, decided_at, state, decided_by, note)
     select fleet, customer_key, version, $6, case when customer_key = any($7) then 'denied' else $3 end, $4, $5
       from releases where fleet = $1 and version = $2 and cohort and state <> 'denied'
     on conflict do nothing`,
    [o.fleet, o.version, o.state, o.decision.by, o.decision.note ?? null, o.at, o.except],
  );
}

/** In the order that everybody locks them in, or two of them could wait for each other. */
export async function lockMembers(
  connection: pg.PoolClient,
  { fleet, version }: CohortRef,
): Promise<void> {
  await connection.query(
    `select from releases where fleet = $1 and version = $2 and cohort order by customer_key for update`,
    [fleet, version],
  );
}

/** Members by how they stand in a stage. */
export interface CohortStanding {
  readonly state: CohortState;
  readonly members: number;
  readonly serving: number;
  /** Approved, but not published, each with its reason: in this stage or in one before it. */
  readonly rejected: number;
  /** By name, or with the whole cohort. */
  readonly denied: number;
  /** One reason of those that were rejected. */
  readonly because: string | null;
}

export async function readStanding(
  ledger: pg.Pool,
  { fleet, stage, version }: StageRef & CohortRef,
): Promise<CohortStanding> {
  const { rows } = await ledger.query<CohortStanding>(
    `select h.state, count(*)::int as members,
            count(*) filter (where p.state = 'serving')::int as serving,
            count(*) filter (where r.state = 'rejected' or x.version is not null)::int as rejected,
            count(*) filter (where r.state = 'denied')::int as denied,
            min(coalesce(x.reason, r.note)) filter (where r.state = 'rejected' or x.version is not null) as because
       from cohorts h join releases r on r.fleet = h.fleet and r.version = h.version and r.cohort
       left join publications p on p.fleet = r.fleet and p.stage = $2 and p.customer_key = r.customer_key
                               and p.version = r.version
       -- Rejected here or before, and served by a stage that comes before that one.
       left join lateral (
            select o.version, o.reason from publications o
             where r.state in ('pending', 'serving') and p.state is distinct from 'serving'
               and o.fleet = r.fleet and o.customer_key = r.customer_key and o.version = r.version
               and o.state = 'rejected' limit 1) x on true
      where h.fleet = $1 and h.version = $3 group by h.state`,
    [fleet, stage, version],
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`cohort ${version} of fleet ${fleet} has no members`);
  return row;
}

/**
 * A fleet numbers its versions in one way: those of each customer, or those of the whole cohort. Changing that
 * would give two models of a customer one number. Throws SpecInvalid.
 */
export async function assertOneNumbering(
  ledger: pg.Pool,
  fleet: string,
  training: "script" | "sharded" | "pipeline",
): Promise<void> {
  const sharded = training === "sharded";
  const { rows } = await ledger.query(
    "select 1 from releases where fleet = $1 and cohort <> $2 limit 1",
    [fleet, sharded],
  );
  if (rows.length === 0) return;
  const numbering = { own: "customer by customer", cohort: "cohort by cohort" };
  const [was, is] = sharded ? [numbering.own, numbering.cohort] : [numbering.cohort, numbering.own];
  throw permanent(FAILURES.specInvalid, {
    message: `the versions of fleet "${fleet}" are numbered ${was}; training by ${training}(…) numbers them ${is}`,
    hint: "give the fleet another name: its models start again at version 1, beside those that serve",
  });
}

/** Members that a stage serves, of these; of a cohort that nobody has approved, stages that take such may. */
export async function readServed(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
  keys: readonly string[],
): Promise<{ readonly customerKey: string; readonly stage: string }[]> {
  if (keys.length === 0) return [];
  const { rows } = await ledger.query<{ customerKey: string; stage: string }>(
    `select customer_key as "customerKey", min(stage) as stage from publications
      where fleet = $1 and customer_key = any($3) and version = $2 and state = 'serving' group by customer_key`,
    [fleet, version, keys],
  );
  return rows;
}

/** Whether any stage serves any member. */
export async function isServedAnywhere(
  ledger: pg.Pool,
  { fleet, version }: CohortRef,
): Promise<boolean> {
  const { rows } = await ledger.query(
    `select from releases r where r.fleet = $1 and r.version = $2 and r.cohort and ${SERVES} limit 1`,
    [fleet, version],
  );
  return rows.length > 0;
}
