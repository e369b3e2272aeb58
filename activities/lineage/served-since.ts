/** Takes over from the stages' pointers who is served what, where it has changed since the lineage was written. */
import { GetObjectCommand } from "@aws-sdk/client-s3";
import type pg from "pg";
import { z } from "zod";
import { s3Keys } from "../../fleet/names.js";
import { withdrawalWords } from "../../fleet/way-back.js";
import { stageSchema } from "../../fleet/stage.schema.js";
import type { StageSpec } from "../../fleet/spec.schema.js";
import { workflowIds } from "../../workflows/messages.js";
import { messageOf } from "../application-failure.js";
import { inParallel } from "../in-parallel.js";
import { objectPages } from "../object-pages.js";
import type { StageAccess, StageClients } from "../stage-access.js";
import type { LeavingVersion } from "./decided-since.js";
import { sinceTime, type SinceFindings } from "./since.js";

interface Since {
  readonly fleet: string;
  readonly writtenAt: string;
  readonly findings: SinceFindings;
}

/** As putPointer writes it. */
const pointerSchema = z.object({
  endpoint: z.string(),
  targetModel: z.string().nullable(),
  version: z.int().min(1),
  publishedAt: z.iso.datetime(),
});

const READS_AT_A_TIME = 16;

/** A stage that cannot be reached stands as the lineage has it, which is told. */
export async function serveSince(
  connection: pg.PoolClient,
  stageAccess: StageAccess,
  since: Since,
): Promise<void> {
  await connection.query(
    `create temp table pointed (stage text, customer_key text, changed boolean, version int, endpoint text,
                                target_model text, published_at timestamptz, primary key (stage, customer_key))
       on commit drop`,
  );
  for (const stage of await declaredStages(connection, since)) {
    try {
      await readPointers(connection, await stageAccess(stage), stage.name, since);
    } catch (error) {
      since.findings.lost.push(
        `stage "${stage.name}" could not be looked at (${messageOf(error)}): it stands as the lineage has it`,
      );
      await connection.query("delete from pointed where stage = $1", [stage.name]);
      continue;
    }
    await follow(connection, stage.name, since);
  }
}

/** Each by the newest cycle whose spec has it. The rest of an old spec may be older than what this modelfleet reads. */
async function declaredStages(connection: pg.PoolClient, since: Since): Promise<StageSpec[]> {
  const { rows } = await connection.query<{ hash: string; stages: unknown }>(
    `select f.spec_hash as hash, f.spec -> 'stages' as stages
       from fleet_specs f left join cycles y using (fleet, spec_hash) where f.fleet = $1
      group by f.fleet, f.spec_hash, f.spec order by max(y.started_at) desc nulls last`,
    [since.fleet],
  );
  const stages = new Map<string, StageSpec>();
  for (const row of rows) {
    const declared = z.array(stageSchema).safeParse(row.stages);
    for (const stage of declared.data ?? [])
      if (!stages.has(stage.name)) stages.set(stage.name, stage);
    if (!declared.success)
      since.findings.lost.push(
        `which stages the spec ${row.hash} has: this modelfleet cannot read them`,
      );
  }
  return [...stages.values()];
}

async function readPointers(
  connection: pg.PoolClient,
  { s3, bucket }: StageClients,
  stage: string,
  { fleet, writtenAt, findings }: Since,
): Promise<void> {
  const prefix = s3Keys.pointer({ fleet, stage, customerKey: "" }).slice(0, -".json".length);
  const from = sinceTime(writtenAt);
  for await (const page of objectPages(s3, bucket, prefix)) {
    const pointers = page.flatMap(({ key: path, modified }) => {
      const [, key] = /^([a-z0-9-]+)\.json$/.exec(path.slice(prefix.length)) ?? [];
      return key === undefined
        ? []
        : [{ key, changed: modified === undefined || modified >= from }];
    });
    await connection.query(
      `insert into pointed (stage, customer_key, changed) select $1, * from unnest($2::text[], $3::boolean[])`,
      [stage, pointers.map(({ key }) => key), pointers.map(({ changed }) => changed)],
    );
    const read: (z.infer<typeof pointerSchema> & { key: string })[] = [];
    await inParallel(
      READS_AT_A_TIME,
      pointers.filter(({ changed }) => changed),
      async ({ key }) => {
        const Key = `${prefix}${key}.json`;
        const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key }));
        const pointer = pointerOf(await Body?.transformToString("utf8"));
        if (pointer === undefined)
          findings.lost.push(`what s3://${bucket}/${Key} says: it is no pointer`);
        else read.push({ key, ...pointer });
      },
    );
    await connection.query(
      `update pointed p set version = r.version, endpoint = r.endpoint, target_model = r.target, published_at = r.at
         from unnest($2::text[], $3::int[], $4::text[], $5::text[], $6::timestamptz[]) as r (key, version, endpoint, target, at)
        where p.stage = $1 and p.customer_key = r.key`,
      [
        ...[stage, read.map(({ key }) => key), read.map(({ version }) => version)],
        ...[read.map(({ endpoint }) => endpoint), read.map(({ targetModel }) => targetModel)],
        read.map(({ publishedAt }) => publishedAt),
      ],
    );
  }
}

function pointerOf(text: string | undefined): z.infer<typeof pointerSchema> | undefined {
  try {
    return pointerSchema.parse(JSON.parse(text ?? ""));
  } catch {
    return undefined;
  }
}

/** Brings what the stage serves in line with its pointers. A pointer is only ever put after the model has answered well. */
async function follow(
  connection: pg.PoolClient,
  stage: string,
  { fleet, findings }: Since,
): Promise<void> {
  const key = [fleet, stage];
  const { rows: unknown } = await connection.query<{ customer_key: string; version: number }>(
    `delete from pointed p where stage = $2 and version is not null and not exists
       (select from releases r where r.fleet = $1 and r.customer_key = p.customer_key and r.version = p.version)
     returning customer_key, version`,
    key,
  );
  for (const { customer_key: customer, version } of unknown)
    findings.lost.push(
      `version ${version} of ${customer}, which stage "${stage}" serves: neither lineage nor registry has it`,
    );
  const unknownKeys = unknown.map((row) => row.customer_key);
  const { rowCount: left } = await connection.query(
    `update publications p set updated_at = coalesce(o.published_at, now()),
            state = case when o.customer_key is null then 'withdrawn' else 'replaced' end
       from publications q left join pointed o on o.stage = $2 and o.customer_key = q.customer_key
      where q.fleet = $1 and q.stage = $2 and q.state = 'serving' and q.customer_key <> all($3)
        and (o.customer_key is null or o.version <> q.version)
        and p.fleet = q.fleet and p.stage = q.stage and p.customer_key = q.customer_key and p.version = q.version`,
    [...key, unknownKeys],
  );
  const { rowCount: come } = await connection.query(SERVES, key);
  findings.served += Math.max(left ?? 0, come ?? 0);
  await connection.query(PROMOTED, key);
  await connection.query(OWN_ENDPOINTS, key);
}

/** The specs that versions were made with. */
const MADE_WITH = `
  select p.*, r.generation, f.spec, f.spec_hash from pointed p
    join releases r on r.fleet = $1 and r.customer_key = p.customer_key and r.version = p.version
    join cycles y on y.fleet = r.fleet and y.cycle = r.cycle
    left join customers c on c.fleet = r.fleet and c.cycle = r.cycle and c.customer_key = r.customer_key
    join fleet_specs f on f.fleet = r.fleet and f.spec_hash = coalesce(c.planned_spec_hash, y.spec_hash)
   where p.stage = $2`;

const SERVES = `
  with made as (${MADE_WITH})
  insert into publications as p (fleet, stage, customer_key, version, target_model, endpoint_kind, state,
                                 verification, updated_at)
  select $1, stage, customer_key, version,
         coalesce(target_model, customer_key || '/v' || lpad(version::text, 6, '0') || '.tar.gz'),
         coalesce(spec #>> '{endpoint,kind}', 'multi-model'), 'serving',
         jsonb_build_object('rebuilt', true, 'pointedAt', published_at), published_at
    from made
  on conflict (fleet, stage, customer_key, version) do update
    set state = 'serving', reason = null, updated_at = excluded.updated_at, target_model = excluded.target_model,
        verification = coalesce(p.verification, excluded.verification)
    where p.state <> 'serving'`;

const PROMOTED = `
  with made as (${MADE_WITH})
  insert into promotions as p (fleet, customer_key, version, stage, place, state, updated_at)
  select $1, m.customer_key, m.version, m.stage, s.place - 1, 'serving', m.published_at
    from made m, jsonb_array_elements(m.spec -> 'stages') with ordinality as s (stage, place)
   where s.stage ->> 'name' = $2 and jsonb_array_length(m.spec -> 'stages') > 1
  on conflict (fleet, customer_key, version, stage) do update
    set state = 'serving', note = null, due_at = null, updated_at = excluded.updated_at where p.state <> 'serving'`;

/** Whoever looks after them finds out how they are. */
const OWN_ENDPOINTS = `
  with made as (${MADE_WITH})
  insert into customer_endpoints as e (fleet, stage, customer_key, endpoint_name, version, spec_hash, state)
  select $1, stage, customer_key, endpoint, version, spec_hash, 'wanted' from made
   where spec #>> '{endpoint,kind}' in ('serverless', 'dedicated')
  on conflict (fleet, stage, customer_key) do update
    set endpoint_name = excluded.endpoint_name, version = excluded.version, spec_hash = excluded.spec_hash,
        state = 'wanted', reason = null, updated_at = now()
    where e.version is distinct from excluded.version`;

/** When all stages have been followed: what a version is to its fleet goes by where it serves. */
export async function settleReleases(
  connection: pg.PoolClient,
  fleet: string,
  leaving: readonly LeavingVersion[],
): Promise<void> {
  for (const one of leaving) await leave(connection, fleet, one);
  await connection.query(
    `with release as (
       update releases r set state = 'serving'
        where r.fleet = $1 and r.state in ('approved', 'rejected', 'retired') and r.decided_by is not null
          and exists (select from publications p where p.fleet = $1 and p.customer_key = r.customer_key
                                                   and p.version = r.version and p.state = 'serving')
       returning r.customer_key, r.cycle)
     update customers c set state = 'serving', reason = null, updated_at = now() from release
      where c.fleet = $1 and c.cycle = release.cycle and c.customer_key = release.customer_key
        and c.state in ('pending', 'approved', 'rejected')`,
    [fleet],
  );
  await connection.query(
    `update releases r set state = 'retired'
      where r.fleet = $1 and r.state = 'serving' and not exists
        (select from publications p where p.fleet = $1 and p.customer_key = r.customer_key
                                      and p.version = r.version and p.state = 'serving')`,
    [fleet],
  );
  await connection.query(
    `update cohorts h set state = 'published'
      where h.fleet = $1 and h.state = 'approved' and exists
        (select from releases r where r.fleet = $1 and r.version = h.version and r.cohort and r.state = 'serving')`,
    [fleet],
  );
}

/** Rejected since: when it serves nowhere any more, its withdrawal is done. When it does, the registry's watcher sees to it. */
async function leave(
  connection: pg.PoolClient,
  fleet: string,
  { customerKey, version, by, note, at }: LeavingVersion,
): Promise<void> {
  const key = [fleet, customerKey, version];
  const { rowCount } = await connection.query(
    `update releases r set state = 'withdrawn'
      where r.fleet = $1 and r.customer_key = $2 and r.version = $3 and r.state = 'serving' and not exists
        (select from publications p where p.fleet = $1 and p.customer_key = $2 and p.version = $3
                                      and p.state = 'serving')`,
    key,
  );
  if (rowCount === 0) return;
  await connection.query(
    `insert into withdrawals (fleet, stage, customer_key, version, asked_by, because, state, serves_version, workflow_id,
                              asked_at, moved_at)
     select p.fleet, p.stage, p.customer_key, p.version, $4, $5, 'removed',
            (select s.version from publications s where s.fleet = p.fleet and s.stage = p.stage
                and s.customer_key = p.customer_key and s.state = 'serving' limit 1), $6, $7, $7
       from publications p
      where p.fleet = $1 and p.customer_key = $2 and p.version = $3 and p.state in ('replaced', 'withdrawn')
     on conflict do nothing`,
    [...key, by, note, workflowIds.withdrawModel(fleet, customerKey, version), at],
  );
  await connection.query(
    `update publications set state = 'withdrawn', reason = $4
      where fleet = $1 and customer_key = $2 and version = $3 and state in ('replaced', 'withdrawn')`,
    [...key, withdrawalWords({ by, because: note })],
  );
  await connection.query(
    `update customers c set state = 'withdrawn', reason = $4, updated_at = now() from releases r
      where r.fleet = $1 and r.customer_key = $2 and r.version = $3
        and c.fleet = $1 and c.cycle = r.cycle and c.customer_key = $2`,
    [...key, withdrawalWords({ by, because: note })],
  );
}
