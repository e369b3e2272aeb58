-- Costs: what every job came to, what a cycle was thought to come to, and what of a budget is taken.

-- One row a job; a search is one job here, with the seconds of all its training jobs.
create table costs (
  job_name           text primary key,
  fleet              text not null,
  cycle              text not null,
  customer_key       text not null,             -- COHORT or CYCLE for a job that worked for many
  kind               text not null check (kind in ('training', 'tuning', 'processing', 'transform')),
  region             text not null,
  instance_type      text not null,
  instances          int not null check (instances > 0),
  training_jobs      int not null default 1,    -- of a search: how many it ran
  billable_seconds   double precision,          -- of one instance; null: SageMaker knew nothing of the job any more
  warm_pool_seconds  double precision not null default 0,  -- that one instance was kept after the job
  warm_pool_open     boolean not null default false,       -- still kept when last looked at: to be read again
  usd_per_hour       double precision,          -- null: not known when the job was recorded
  price_source       text,
  usd                double precision generated always as
                       ((billable_seconds + warm_pool_seconds) * instances * usd_per_hour / 3600) stored,
  recorded_at        timestamptz not null default now(),
  foreign key (fleet, cycle) references cycles
);
create index costs_by_cycle on costs (fleet, cycle) include (usd);
create index costs_warm on costs (fleet) where warm_pool_open;

alter table jobs
  add column expected_usd     double precision,  -- by the seconds that jobs of its kind took before; null without a budget
  add column usd_per_hour     double precision,  -- of all instances that it runs at a time
  add column cost_recorded_at timestamptz;       -- its row of costs is there
create index jobs_uncosted on jobs (fleet, cycle) where cost_recorded_at is null;

alter table cycles
  add column estimate     jsonb,                 -- {usd, trainingJobs, secondsPerJob}: at planning, what was spent before included
  add column over_budget  text;                  -- why no further job of the cycle is started

-- What began to serve lately, for the metrics.
create index publications_lately on publications (fleet, updated_at) where state = 'serving';

-- That a sharded job worked for this customer, by its own word.
alter table customers add column fit_seconds double precision;

-- Which messages there are is the code's to say.
alter table notifications drop constraint notifications_kind_check;

-- Mean billable seconds of a fleet's training jobs, those of searches among them.
create function mean_job_seconds(of_fleet text) returns double precision language sql stable as $$
  select avg(seconds) from (
    select billable_seconds as seconds
      from jobs where fleet = of_fleet and status = 'Completed' and kind = 'training'
     union all
    select extract(epoch from t.ended_at - t.started_at)
      from tuning_trials t join tuning_jobs j using (tuning_job_name)
     where j.fleet = of_fleet and t.status = 'Completed') as job
$$;

-- The newest sharded job of a fleet that completed, and the fits that it made.
create function newest_packed_job(of_fleet text)
returns table (seconds double precision, slots int, instance_type text, fits double precision)
language sql stable as $$
  select j.billable_seconds::float8, j.slots,
         coalesce(j.request #>> '{ResourceConfig,InstanceType}', ''),
         (select count(*) from evaluations e
           where e.fleet = j.fleet and e.cycle = j.cycle and e.training_job_name = j.job_name)::float8
           * greatest(1, coalesce((select avg((t.trial_statuses ->> 'completed')::float8) from tuning_jobs t
                                    where t.fleet = j.fleet and t.cycle = j.cycle and t.packed), 1))
    from jobs j
   where j.fleet = of_fleet and j.customer_key = 'COHORT' and j.status = 'Completed' and j.billable_seconds is not null
   order by j.ended_at desc limit 1
$$;
