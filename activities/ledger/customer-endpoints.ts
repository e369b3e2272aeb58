/** The ledger's endpoints of single customers: what each shall serve, and how far it has come. */
import type pg from "pg";
import type { StageRef, VersionRef } from "./publications.js";
import { inTransaction } from "./transaction.js";

export interface WantedEndpoint extends VersionRef {
  readonly endpointName: string;
  /** Of the spec whose capacity it gets. */
  readonly specHash: string;
}

/** From now on the endpoint is to serve that version. Waits while it is being removed. */
export async function wantVersion(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  { customerKey, version, endpointName, specHash }: WantedEndpoint,
): Promise<void> {
  await ledger.query(
    `insert into customer_endpoints as e (fleet, stage, customer_key, endpoint_name, version, spec_hash, state)
     values ($1, $2, $3, $4, $5, $6, 'wanted')
     on conflict (fleet, stage, customer_key) do update
       set endpoint_name = excluded.endpoint_name, version = excluded.version, spec_hash = excluded.spec_hash,
           state = 'wanted', reason = null, updated_at = now()`,
    [fleet, stage, customerKey, endpointName, version, specHash],
  );
}

/** Another version on the capacity it has; null: nobody is sent there. A customer without an endpoint gets none. */
export async function wantInstead(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  { customerKey, version }: { readonly customerKey: string; readonly version: number | null },
): Promise<void> {
  await ledger.query(
    `update customer_endpoints set version = $4, state = 'wanted', reason = null, updated_at = now()
      where fleet = $1 and stage = $2 and customer_key = $3`,
    [fleet, stage, customerKey, version],
  );
}

/** What is to be done to one customer's endpoint. */
export interface EndpointErrand {
  readonly customerKey: string;
  readonly endpointName: string;
  readonly version: number | null;
  /** Whose capacity it has. */
  readonly specHash: string;
  /** What the version was made with; null when `version` is. */
  readonly modelSpecHash: string | null;
}

export async function readEndpointErrands(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
): Promise<EndpointErrand[]> {
  const { rows } = await ledger.query<EndpointErrand>(
    `select e.customer_key as "customerKey", e.endpoint_name as "endpointName", e.version,
            e.spec_hash as "specHash", coalesce(c.planned_spec_hash, y.spec_hash) as "modelSpecHash"
       from customer_endpoints e
       left join releases r on r.fleet = e.fleet and r.customer_key = e.customer_key and r.version = e.version
       left join cycles y on y.fleet = r.fleet and y.cycle = r.cycle
       left join customers c on c.fleet = r.fleet and c.cycle = r.cycle and c.customer_key = r.customer_key
      where e.fleet = $1 and e.stage = $2 and e.state = 'wanted'
      order by e.updated_at, e.customer_key`,
    [fleet, stage],
  );
  return rows;
}

/** Unless something else is wanted by now. */
export async function recordEndpoint(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  { customerKey, version }: EndpointErrand,
  failure: { readonly because: string; readonly mayPass: boolean } | null,
): Promise<void> {
  const { because = null, mayPass = false } = failure ?? {};
  await ledger.query(
    `update customer_endpoints set state = $5, reason = $6, may_pass = $7, updated_at = now()
      where fleet = $1 and stage = $2 and customer_key = $3 and version = $4 and state = 'wanted'`,
    [fleet, stage, customerKey, version, failure === null ? "live" : "failed", because, mayPass],
  );
}

export interface CustomerEndpoint {
  readonly endpointName: string;
  readonly version: number | null;
  readonly state: "wanted" | "live" | "failed";
  readonly reason: string | null;
  /** Of a failure. */
  readonly mayPass: boolean;
}

export async function readCustomerEndpoint(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  customerKey: string,
): Promise<CustomerEndpoint | undefined> {
  const { rows } = await ledger.query<CustomerEndpoint>(
    `select endpoint_name as "endpointName", version, state, reason, may_pass as "mayPass" from customer_endpoints
      where fleet = $1 and stage = $2 and customer_key = $3`,
    [fleet, stage, customerKey],
  );
  return rows[0];
}

/** Of customers ($1 fleet, $2 stage) whom a shared endpoint serves by now, and nothing else is about to. */
const LEFT = `
  e.fleet = $1 and e.stage = $2 and e.version is not null
    and exists (select from publications p
                 where p.fleet = e.fleet and p.stage = e.stage and p.customer_key = e.customer_key
                   and p.state = 'serving' and p.endpoint_kind in ('multi-model', 'pipeline'))
    and not exists (select from publications p
                     where p.fleet = e.fleet and p.stage = e.stage and p.customer_key = e.customer_key
                       and p.state = 'copied' and p.endpoint_kind in ('serverless', 'dedicated'))`;

/** Whether the fleet has moved customers from endpoints of their own, which are still there. */
export async function hasLeftEndpoints(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
): Promise<boolean> {
  const { rows } = await ledger.query(`select from customer_endpoints e where ${LEFT} limit 1`, [
    fleet,
    stage,
  ]);
  return rows.length > 0;
}

/** From now on nobody wants them: what is begun then is an errand until it is done. */
export async function unwantLeftEndpoints(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
): Promise<void> {
  await ledger.query(
    `update customer_endpoints e set version = null, state = 'wanted', reason = null, updated_at = now()
      where ${LEFT}`,
    [fleet, stage],
  );
}

/**
 * Forgets an endpoint that nobody is pointed to. `remove` runs while nobody else can want anything of it: a version
 * that is published meanwhile waits, and then finds it gone.
 */
export async function forgetUnwanted(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  customerKey: string,
  remove: (endpointName: string) => Promise<void>,
): Promise<void> {
  await inTransaction(ledger, async (connection) => {
    const { rows } = await connection.query<{ endpoint_name: string }>(
      `select endpoint_name from customer_endpoints
        where fleet = $1 and stage = $2 and customer_key = $3 and version is null for update`,
      [fleet, stage, customerKey],
    );
    const [row] = rows;
    if (row === undefined) return;
    await remove(row.endpoint_name);
    await connection.query(
      `delete from customer_endpoints where fleet = $1 and stage = $2 and customer_key = $3`,
      [fleet, stage, customerKey],
    );
  });
}
