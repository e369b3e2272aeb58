-- Cohorts: what one sharded training job made for many customers is one version, decided and published at once.

create table cohorts (
  fleet              text not null,
  version            int not null,               -- the model package version; of every member's release too
  cycle              text not null,
  model_package_arn  text not null unique,
  workflow_id        text not null,
  state              text not null check (state in
                       ('pending', 'approved', 'published', 'denied', 'superseded', 'expired', 'withdrawn')),
  members            int not null,
  figures            jsonb not null,             -- of the members: see CohortFigures
  decided_by         text,                       -- a person, or policy:<fleet>
  decided_at         timestamptz,
  note               text,
  sample             jsonb,                      -- {customer key: {offline, served, latencyMs}}: who was invoked
  created_at         timestamptz not null default now(),
  primary key (fleet, version),
  foreign key (fleet, cycle) references cycles
);
create index cohorts_by_cycle on cohorts (fleet, cycle);

-- Members of a cohort share their version, its ARN and its workflow.
alter table releases drop constraint releases_model_package_arn_key;
alter table releases add column cohort boolean not null default false;
create unique index releases_by_package on releases (model_package_arn) where not cohort;
-- A cohort's members are gone through in pages.
create index releases_by_cohort on releases (fleet, version, customer_key) where cohort;
create index releases_serving_cohort on releases (fleet, version) where cohort and state = 'serving';
create index withdrawals_of_version on withdrawals (fleet, stage, version, customer_key) where state <> 'removed';

-- The registry's watcher looks at a cohort once, not at each of its members.
drop index releases_serving;
create index releases_serving on releases
  (split_part(model_package_arn, ':', 5), split_part(model_package_arn, ':', 4), fleet, customer_key, version)
  where state = 'serving' and not cohort;
drop index releases_undecided;
create index releases_undecided on releases
  (split_part(model_package_arn, ':', 5), split_part(model_package_arn, ':', 4), fleet, customer_key, version)
  where state in ('pending', 'approved') and not cohort;
