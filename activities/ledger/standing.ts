/** Reads how all fleets stand, in one statement that looks at the newest cycle of each: for the worker's metrics. */
import type pg from "pg";

/** Per fleet; times in seconds, money in US dollars. */
export interface Standing {
  readonly fleet: string;
  readonly cycleState: string;
  readonly runningSeconds: number;
  readonly customers: Readonly<Record<string, number>>;
  readonly jobs: Readonly<Record<string, number>>;
  readonly pending: number;
  readonly pendingSeconds: number;
  readonly unpublishedSeconds: number;
  readonly withdrawalSeconds: number;
  /** How long the oldest version has waited for a stage's own approval, and been on its way into it; 0 for none. */
  readonly stages: Readonly<
    Record<string, { readonly approvalSeconds: number; readonly publishingSeconds: number }>
  >;
  /** 0.5, 0.95 and 1 of the last hour; null when nothing began to serve. */
  readonly publishSeconds: readonly number[] | null;
  readonly spentUsd: number;
  readonly budgetUsd: number;
  readonly overBudget: boolean;
}

export interface Standings {
  readonly fleets: readonly Standing[];
  /** Since somebody looked at the awaited jobs; 0 when none is awaited. */
  readonly watcherSeconds: number;
}

/** Every part goes by an index of its own: a fleet of thousands of customers costs milliseconds. */
export async function readStandings(ledger: pg.Pool): Promise<Standings> {
  const { rows } = await ledger.query<{ standings: Standings }>(
    `with newest as (
       select distinct on (fleet) y.fleet, y.cycle, y.state, y.started_at, y.ended_at, y.over_budget,
              (s.spec #>> '{budget,perCycleUsd}')::float8 as budget, s.spec -> 'stages' as stages
         from cycles y join fleet_specs s using (fleet, spec_hash) order by y.fleet, y.cycle desc),
     open as (
       select fleet, kind, count(*) from jobs where state <> 'ended' group by fleet, kind)
     select jsonb_build_object(
       'watcherSeconds', coalesce((
          select max(extract(epoch from now() - greatest(j.since, w.seen_at)))
            from (select account, region, min(created_at) as since from jobs where state = 'created'
                   group by account, region) j
            left join watchers w using (account, region)), 0),
       'fleets', coalesce((select jsonb_agg(jsonb_build_object(
          'fleet', n.fleet,
          'cycleState', n.state,
          'runningSeconds', case when n.state in ('completed', 'failed', 'cancelled') then 0
                                 else extract(epoch from now() - n.started_at) end,
          'customers', (select coalesce(jsonb_object_agg(state, count), '{}') from
                         (select state, count(*) from customers c
                           where c.fleet = n.fleet and c.cycle = n.cycle group by state) c),
          'jobs', (select coalesce(jsonb_object_agg(o.kind, o.count), '{}') from open o where o.fleet = n.fleet),
          'pending', p.pending,
          'pendingSeconds', p.pending_seconds,
          'unpublishedSeconds', p.unpublished_seconds,
          'withdrawalSeconds', (select coalesce(max(extract(epoch from now() - w.asked_at)), 0) from withdrawals w
                                 where w.fleet = n.fleet and w.state = 'asked'),
          'stages', (select coalesce(jsonb_object_agg(t ->> 'name', jsonb_build_object(
                        'approvalSeconds', coalesce(o.approval, 0), 'publishingSeconds', coalesce(o.publishing, 0))), '{}')
                       from jsonb_array_elements(n.stages) t
                       left join (select stage,
                                         max(extract(epoch from now() - updated_at))
                                           filter (where state = 'stage-approval') as approval,
                                         max(extract(epoch from now() - updated_at))
                                           filter (where state = 'publishing') as publishing
                                    from promotions where fleet = n.fleet and state in ('stage-approval', 'publishing')
                                   group by stage) o on o.stage = t ->> 'name'),
          'publishSeconds', (select percentile_cont(array[0.5, 0.95, 1]) within group
                                      (order by extract(epoch from u.updated_at - r.decided_at))
                               from publications u join releases r using (fleet, customer_key, version)
                              where u.fleet = n.fleet and u.state = 'serving'
                                and u.updated_at > now() - interval '1 hour'),
          'spentUsd', (select coalesce(sum(c.usd), 0) from costs c where c.fleet = n.fleet and c.cycle = n.cycle),
          'budgetUsd', coalesce(n.budget, 0),
          'overBudget', n.over_budget is not null))
        from newest n
        cross join lateral (
          select count(*) filter (where state = 'pending') as pending,
                 coalesce(max(extract(epoch from now() - created_at)) filter (where state = 'pending'), 0)
                   as pending_seconds,
                 coalesce(max(extract(epoch from now() - coalesce(decided_at, created_at)))
                            filter (where state = 'approved'), 0) as unpublished_seconds
            from releases r where r.fleet = n.fleet and r.state in ('pending', 'approved')) p), '[]')) as standings`,
  );
  return rows[0]?.standings ?? { fleets: [], watcherSeconds: 0 };
}
