-- Endpoints of every kind: which one a version serves from, and what each customer's own endpoint shall hold.

-- How a version was published, which may differ from how its fleet publishes now.
alter table publications add column endpoint_kind text not null default 'multi-model'
  check (endpoint_kind in ('multi-model', 'serverless', 'dedicated', 'pipeline'));

-- Of fleets with an endpoint for each customer. What is wanted is written first; whoever looks after the endpoints
-- brings them in line with it.
create table customer_endpoints (
  fleet          text not null,
  stage          text not null,
  customer_key   text not null,
  endpoint_name  text not null unique,
  version        int,                          -- that it shall serve; null: nobody is pointed to it, it is to go
  spec_hash      text,                         -- whose capacity it has: that of the version it was last made for
  state          text not null check (state in ('wanted', 'live', 'failed')),
  reason         text,                         -- why it failed
  may_pass       boolean not null default false,  -- the failure was SageMaker's: another try may do
  updated_at     timestamptz not null default now(),
  primary key (fleet, stage, customer_key)
);

-- What all customers of a pipeline share, and which of them a model was made behind.
create table preprocessors (
  fleet              text not null,
  generation         int not null,               -- 1, 2, …
  preprocessor_hash  text not null,              -- of what it is made from: another hash is another generation
  spec_hash          text not null,              -- of the cycle that fitted it
  cycle              text not null,
  training_job_name  text not null,
  artifact_uri       text not null,
  created_at         timestamptz not null default now(),
  primary key (fleet, generation),
  unique (fleet, preprocessor_hash)
);
alter table evaluations add column generation int;  -- null unless the model needs a preprocessor
alter table releases add column generation int;

-- What remains of a fleet that was destroyed, or of a stage: who did it, and what there was. The column is not
-- called fleet, as rows that are a fleet's go with it.
create table destructions (
  destroyed_fleet  text not null,
  stage            text,                         -- null: the whole fleet
  destroyed_by     text not null,
  found            jsonb not null,               -- counts and names
  destroyed_at     timestamptz not null default now()
);
