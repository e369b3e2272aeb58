-- Tuning: searches in place of single training jobs, from where each started, and what its trials found.

alter table cycles add column testing boolean not null default false;  -- one training job in place of each search

alter table customers add column search jsonb;    -- {maxJobs, because}: the search that the plan gives; null without tuning

alter table jobs drop constraint jobs_kind_check;
alter table jobs add constraint jobs_kind_check check (kind in ('training', 'tuning'));
alter table jobs add column slots int not null default 1 check (slots > 0);  -- training jobs at a time

-- One search: first the choice of its parents, which every attempt to create it must repeat; then its results.
create table tuning_jobs (
  fleet                  text not null,
  cycle                  text not null,
  customer_key           text not null,
  round                  int not null,
  work_hash              text not null,           -- of the request without its warm start, and of the data
  tuning_job_name        text not null unique,
  account                text not null,
  region                 text not null,
  testing                boolean not null,        -- a single training job: never a parent
  strategy               text not null,
  objective_metric       text not null,
  objective_direction    text not null check (objective_direction in ('minimize', 'maximize')),
  max_jobs               int not null,
  parallel               int not null,
  size_because           text,                    -- why max_jobs, when there was a budget or a test
  ranges                 jsonb not null,          -- as the spec declares them
  static_hyperparameters jsonb not null,
  data_hash              text,
  code_hash              text not null,           -- of the packed source folder
  image                  text not null,
  warm_start_type        text check (warm_start_type in ('IdenticalDataAndAlgorithm', 'TransferLearning')),
  parents                jsonb not null,          -- [name], best choice first; empty: it started from nothing
  warm_start_because     text not null,
  reasons                jsonb not null,          -- [{tuningJobName, taken, because}], one for each candidate
  created_at             timestamptz not null default now(),
  status                 text,                    -- SageMaker's, once ended
  failure_reason         text,
  trial_statuses         jsonb,                   -- {completed, stopped, failed …}: training jobs by status
  objective_statuses     jsonb,                   -- {succeeded, pending, failed}: of the objective
  best_training_job_name text,
  best_value             double precision,
  best_hyperparameters   jsonb,                   -- the tuned ones
  ended_at               timestamptz,
  trials_read_at         timestamptz,             -- tuning_trials holds them all
  primary key (fleet, cycle, customer_key, round, work_hash),
  foreign key (fleet, cycle) references cycles
);
create index tuning_jobs_by_customer on tuning_jobs (fleet, customer_key, created_at desc);
create index tuning_jobs_to_read on tuning_jobs (account, region) where status is not null and trials_read_at is null;

-- The training jobs of a search.
create table tuning_trials (
  tuning_job_name    text not null references tuning_jobs (tuning_job_name) on delete cascade on update cascade,
  training_job_name  text not null,
  status             text not null,               -- SageMaker's TrainingJobStatus
  objective_status   text,                        -- Succeeded, Pending or Failed
  objective_value    double precision,            -- null when it never printed the objective
  hyperparameters    jsonb not null,              -- the tuned ones
  failure_reason     text,
  started_at         timestamptz,
  ended_at           timestamptz,
  primary key (tuning_job_name, training_job_name)
);

-- As before, and each job takes as many places as it runs training jobs at a time; AWS also bounds tuning jobs.
drop function admit_job(jobs, int);
create function admit_job(job jobs, quota int, tuning_quota int) returns text language plpgsql as $$
declare
  known text;
begin
  perform pg_advisory_xact_lock(hashtextextended('modelfleet jobs ' || job.account || ' ' || job.region, 0));
  update jobs set admitted_at = now() where job_name = job.job_name and state = 'admitted';
  select state into known from jobs where job_name = job.job_name;
  if known is not null then
    return known;
  end if;
  if (select coalesce(sum(j.slots), 0) + job.slots > quota
          or job.kind = 'tuning' and count(*) filter (where j.kind = 'tuning') >= tuning_quota
        from jobs j
       where j.account = job.account and j.region = job.region and j.state <> 'ended') then
    return 'full';
  end if;
  insert into jobs select job.*;
  return 'admitted';
end $$;
