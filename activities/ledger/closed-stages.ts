/** The ledger's closed stages: those elsewhere that do not let the worker in, and since when. */
import type pg from "pg";
import type { StageRef } from "./publications.js";

export interface Closure {
  /** ISO time. */
  readonly since: string;
  readonly seconds: number;
}

/** Attempts come at least every hour or so (`refreshDoublings`): after a longer pause nobody knows what was meanwhile. */
const FORGOTTEN = "3 hours";

/** Returns for how long the stage has been closed. */
export async function recordClosed(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  { activity, because }: { readonly activity: string; readonly because: string },
): Promise<Closure> {
  const { rows } = await ledger.query<{ since: Date; seconds: number }>(
    `insert into closed_stages as s (fleet, stage, activity, because) values ($1, $2, $3, $4)
     on conflict (fleet, stage) do update
       set because = $4, seen_at = now(),
           activity = case when s.seen_at < now() - interval '${FORGOTTEN}' then $3 else s.activity end,
           since = case when s.seen_at < now() - interval '${FORGOTTEN}' then now() else s.since end
     returning since, extract(epoch from now() - since)::float8 as seconds`,
    [fleet, stage, activity, because],
  );
  const { since = new Date(), seconds = 0 } = rows[0] ?? {};
  return { since: since.toISOString(), seconds };
}

/** The closure that the activity's success ends, and whether people were told of it; null without one. */
export async function readClosed(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  activity: string,
): Promise<{ readonly since: string; readonly told: boolean } | null> {
  const { rows } = await ledger.query<{ since: Date; told: boolean }>(
    `select since,
            exists (select from notifications n
                     where n.fleet = s.fleet and n.cycle = '' and n.kind = 'stage-closed' and n.stage = s.stage
                       and n.sent_at is not null and n.claimed_at >= s.since) as told
       from closed_stages s where fleet = $1 and stage = $2 and activity = $3`,
    [fleet, stage, activity],
  );
  const [row] = rows;
  return row === undefined ? null : { since: row.since.toISOString(), told: row.told };
}

export async function recordOpen(
  ledger: pg.Pool,
  { fleet, stage }: StageRef,
  activity: string,
): Promise<void> {
  await ledger.query(
    "delete from closed_stages where fleet = $1 and stage = $2 and activity = $3",
    [fleet, stage, activity],
  );
}
