-- Decisions: every one that was ever made, who was told that one is wanted, and who watches the registry for them.

alter table releases drop constraint releases_state_check;
alter table releases add constraint releases_state_check check (state in
  ('pending', 'approved', 'denied', 'serving', 'rejected', 'retired', 'superseded', 'expired', 'withdrawn'));

alter table customers drop constraint customers_state_check;
alter table customers add constraint customers_state_check check (state in
  ('exported', 'planned', 'skipped', 'training', 'trained', 'evaluated', 'champion-kept',
   'pending', 'approved', 'serving', 'denied', 'rejected', 'failed', 'superseded', 'expired', 'withdrawn'));

-- A version's releases row tells how it stands; this, how it came to that.
create table release_decisions (
  fleet         text not null,
  customer_key  text not null,
  version       int not null,
  decided_at    timestamptz not null,            -- by the workflow's clock: a repeated activity writes the same row
  state         text not null check (state in ('approved', 'denied', 'superseded', 'expired')),
  decided_by    text not null,
  note          text,
  primary key (fleet, customer_key, version, decided_at, state),
  foreign key (fleet, customer_key, version) references releases
);

-- The registry's watcher pages through these.
create index releases_serving on releases
  (split_part(model_package_arn, ':', 5), split_part(model_package_arn, ':', 4), fleet, customer_key, version)
  where state = 'serving';
create index releases_undecided on releases
  (split_part(model_package_arn, ':', 5), split_part(model_package_arn, ':', 4), fleet, customer_key, version)
  where state in ('pending', 'approved');

-- Who watches the model registry of an account and region; no row, or an old one, means nobody does.
create table registry_watchers (
  account  text not null,
  region   text not null,
  seen_at  timestamptz not null,
  primary key (account, region)
);

-- One message a cycle and deadline, however many of its models wait: whoever claims it sends it.
create table notifications (
  fleet       text not null,
  cycle       text not null,
  kind        text not null check (kind in ('remind', 'escalate', 'expire')),
  claimed_by  text not null,                     -- the release's workflow
  claimed_at  timestamptz not null,
  sent_at     timestamptz,
  failure     text,                              -- why it is not sent yet
  primary key (fleet, cycle, kind)
);
