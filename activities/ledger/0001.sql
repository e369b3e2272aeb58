-- modelfleet's ledger: what every cycle exported, trained, judged, released and published.
-- One row each; a repeated activity writes the same row again.

create table fleet_specs (
  fleet       text not null,
  spec_hash   text not null,                    -- sha256 of the canonical JSON
  spec        jsonb not null,
  created_at  timestamptz not null default now(),
  primary key (fleet, spec_hash)
);

create table cycles (
  fleet           text not null,
  cycle           text not null,                -- from the scheduled time, e.g. 2013-07-01
  spec_hash       text not null,
  window_floor    timestamptz not null,
  window_ceiling  timestamptz not null,
  workflow_id     text not null,
  state           text not null check (state in ('exporting', 'planning', 'training', 'completed', 'failed', 'cancelled')),
  reason          text,                         -- why it failed, in one sentence
  sql             text,                         -- exactly what ran in the warehouse
  columns         jsonb,                        -- [{name, type}], target first
  rows            bigint,                       -- exported; null until the export is complete
  rows_without_customer bigint,                 -- left out, since nobody could be told to own them
  forced          boolean not null default false,
  started_at      timestamptz not null default now(),
  ended_at        timestamptz,
  primary key (fleet, cycle),
  foreign key (fleet, spec_hash) references fleet_specs
);

-- One customer in one cycle: its dataset, and how far it has come.
create table customers (
  fleet            text not null,
  cycle            text not null,
  customer_key     text not null,
  customer         text not null,               -- as the warehouse calls it
  shard            int,                         -- null until planned, and for customers that are not trained
  train_rows       bigint not null default 0,
  validation_rows  bigint not null default 0,
  test_rows        bigint not null default 0,
  invalid_rows     bigint not null default 0,   -- target is NULL, NaN or infinite
  data_hash        text,                        -- sha256 over the sha256 of train, validation and test, hex
  verification     jsonb,                       -- [csv row without target], the first held-out rows
  champion_version int,                         -- what served when the cycle was planned: whom to beat
  state            text not null check (state in
                     ('exported', 'planned', 'skipped', 'training', 'trained', 'evaluated', 'champion-kept',
                      'pending', 'approved', 'serving', 'denied', 'rejected', 'failed')),
  reason           text,                        -- why it is skipped, kept, denied, rejected or failed
  error_type       text,                        -- stable type of the failure, see docs/reference/errors.md
  updated_at       timestamptz not null default now(),
  primary key (fleet, cycle, customer_key),
  foreign key (fleet, cycle) references cycles
);
create index customers_by_shard on customers (fleet, cycle, shard);
create index customers_by_state on customers (fleet, cycle, state);

create table jobs (
  job_name         text primary key,
  account          text not null,
  region           text not null,
  kind             text not null check (kind in ('training')),
  fleet            text not null,
  cycle            text not null,
  customer_key     text not null,
  round            int not null,
  request_hash     text not null,
  request          jsonb not null,              -- the Create request as sent
  workflow_id      text not null,               -- who is told when the job ends
  state            text not null check (state in ('admitted', 'created', 'ended')),
  status           text,                        -- SageMaker's, once ended
  failure_reason   text,
  billable_seconds int,
  admitted_at      timestamptz not null default now(),
  created_at       timestamptz,
  ended_at         timestamptz,
  notified_at      timestamptz                  -- the owner has been signalled
);
create index jobs_awaited on jobs (account, region) where state <> 'ended';
create index jobs_by_customer on jobs (fleet, customer_key, cycle);

create table evaluations (
  fleet              text not null,
  cycle              text not null,
  customer_key       text not null,
  training_job_name  text not null,
  metrics            jsonb not null,            -- {rmse, mae, stdev_error} of the challenger on the test rows
  champion_metrics   jsonb,                     -- the champion's on the same rows, null without champion
  baseline_metrics   jsonb not null,            -- predict-the-mean's on the same rows
  champion_version   int,
  artifact_uri       text not null,             -- the training job's model.tar.gz
  predictions        jsonb not null,            -- offline predictions of customers.verification
  decision           text not null check (decision in ('approve', 'ask', 'keep-champion')),
  because            text not null,
  created_at         timestamptz not null default now(),
  primary key (fleet, cycle, customer_key)
);

create table releases (
  fleet              text not null,
  customer_key       text not null,
  version            int not null,              -- the model package version
  cycle              text not null,
  model_package_arn  text not null unique,
  training_job_name  text not null,
  artifact_uri       text not null,
  state              text not null check (state in ('pending', 'approved', 'denied', 'serving', 'rejected', 'retired')),
  decided_by         text,                      -- a person, or policy:<fleet>
  decided_at         timestamptz,
  note               text,                      -- the approver's words, or why publishing was rejected
  workflow_id        text not null,
  created_at         timestamptz not null default now(),
  primary key (fleet, customer_key, version),
  unique (fleet, cycle, customer_key)
);
create index releases_by_state on releases (fleet, state);

create table publications (
  fleet         text not null,
  stage         text not null,
  customer_key  text not null,
  version       int not null,
  target_model  text not null,                  -- what InvokeEndpoint is called with
  state         text not null check (state in ('copied', 'serving', 'rejected', 'replaced')),
  reason        text,
  verification  jsonb,                          -- {offline: [...], served: [...], latencyMs}
  updated_at    timestamptz not null default now(),
  primary key (fleet, stage, customer_key, version)
);

-- Admits a job to the account's quota of concurrent jobs: 'admitted', 'full', or the state of the job that has
-- the name already. A function, so that the lock, the count and the row are one round trip, and the count sees
-- what was committed before the lock was granted.
create function admit_job(job jobs, quota int) returns text language plpgsql as $$
declare
  known text;
begin
  perform pg_advisory_xact_lock(hashtextextended('modelfleet jobs ' || job.account || ' ' || job.region, 0));
  update jobs set admitted_at = now() where job_name = job.job_name and state = 'admitted';
  select state into known from jobs where job_name = job.job_name;
  if known is not null then
    return known;
  end if;
  if (select count(*) from jobs j
       where j.account = job.account and j.region = job.region and j.state <> 'ended') >= quota then
    return 'full';
  end if;
  insert into jobs select job.*;
  return 'admitted';
end $$;

-- One budget of API calls per account, region and operation, shared by every worker (GCRA: the theoretical
-- arrival time of the next call, and the interval that the service was seen to bear).
create table api_budget (
  account      text not null,
  region       text not null,
  operation    text not null,
  next_at      timestamptz not null default now(),
  interval_ms  double precision not null,
  throttled_at timestamptz,                     -- null until the service throttled for the first time
  calls        bigint not null default 0,
  throttles    bigint not null default 0,
  primary key (account, region, operation)
);

-- Who watches the jobs of an account and region; no row, or an old one, means nobody does.
create table watchers (
  account  text not null,
  region   text not null,
  seen_at  timestamptz not null,
  primary key (account, region)
);
