-- Life cycle: what retention has taken, and customers that have left the warehouse.

-- Said before anything is deleted: from then on the version serves nobody again.
alter table releases add column collected_at timestamptz;
-- Its model package is deleted; of one that nobody has approved.
alter table releases add column package_collected_at timestamptz;
alter table cohorts add column package_collected_at timestamptz;
-- What the cycle's jobs made is gone, but for versions that are kept: the cycle is not run again.
alter table cycles add column collected_at timestamptz;
create index releases_package_to_collect on releases (fleet, customer_key, version)
  where collected_at is not null and package_collected_at is null;

-- Who had a fleet tidied up, and what there was to take.
create table collections (
  fleet         text not null,
  at            timestamptz not null,           -- by the workflow's clock: what ages are counted to
  collected_by  text not null,
  found         jsonb not null,                 -- counts and names
  primary key (fleet, at)
);

-- A withdrawal after which nothing serves: the customer has left. Its row goes when it is over, as the version is denied
-- by nobody, and may serve again should the customer come back.
alter table withdrawals add column retires boolean not null default false;

-- Customers that have left: what was taken out of service, and since when exports lack them.
create table retirements (
  fleet         text not null,
  customer_key  text not null,
  version       int not null,
  absent_since  timestamptz not null,           -- the first cycle whose export had no rows of the customer
  last_cycle    text,                           -- the last one that had some; null: none that exported everybody
  retired_by    text not null,
  retired_at    timestamptz not null default now(),
  primary key (fleet, customer_key, version)
);
