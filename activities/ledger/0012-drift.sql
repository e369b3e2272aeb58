-- Drift: what each look at a fleet has found, and which customers it has had retrained.

create table drift_runs (
  fleet         text not null,
  run           text not null,                  -- also the id of the cycle that it calls for, e.g. 2013-07-01-drift
  at            timestamptz not null,           -- the time that it is for
  spec_hash     text not null,
  workflow_id   text not null,
  dry_run       boolean not null,               -- looked only: its id ends otherwise, and no cycle has it
  state         text not null check (state in ('comparing', 'scoring', 'retraining', 'completed', 'failed')),
  reason        text,                           -- why it failed, in one sentence
  sql           text,                           -- what ran in the warehouse for the first of its windows
  compared_at   timestamptz,                    -- drift_customers has everybody
  decided_at    timestamptz,                    -- and what is done about them: not to be decided again
  started_at    timestamptz not null default now(),
  ended_at      timestamptz,
  primary key (fleet, run),
  foreign key (fleet, spec_hash) references fleet_specs
);

create table drift_customers (
  fleet             text not null,
  run               text not null,
  customer_key      text not null,
  customer          text not null,
  champion_version  int not null,
  champion_cycle    text not null,              -- whose window is the reference
  reference_rows    bigint not null default 0,
  newest_rows       bigint not null default 0,
  excess            double precision,           -- the worst figure, in multiples of its threshold; null: not compared
  drifted           boolean not null default false,
  scored_rows       int,                        -- of the sample that the endpoint was asked for; null: it was not
  action            text not null check (action in ('none', 'retrain', 'left')),
  because           text not null,              -- which figures exceed, or why none was compared
  left_because      text,                       -- why a drifted customer is not retrained now
  primary key (fleet, run, customer_key),
  foreign key (fleet, run) references drift_runs on delete cascade
);
create index drift_customers_worst on drift_customers (fleet, run, excess desc, customer_key) where drifted;
create index drift_retrained on drift_customers (fleet, customer_key) where action = 'retrain';
create index drift_scored on drift_customers (fleet, customer_key) where scored_rows is not null;

-- Every figure that exceeds, and of each measure the worst of a customer.
create table drift_figures (
  fleet         text not null,
  run           text not null,
  customer_key  text not null,
  measure       text not null check (measure in ('psi', 'ks', 'error')),
  column_name   text not null,                  -- of an error, the gate's metric
  value         double precision not null,
  threshold     double precision not null,
  by_chance     double precision not null,
  exceeds       boolean not null,
  primary key (fleet, run, customer_key, measure, column_name),
  foreign key (fleet, run, customer_key) references drift_customers on delete cascade
);

-- What has called for a cycle beside its schedule or a person.
alter table cycles add column cause text check (cause in ('drift'));
