-- Versions that have served, or were about to, and shall not: who said so, and what serves instead.

alter table releases drop constraint releases_state_check;
alter table releases add constraint releases_state_check check (state in
  ('pending', 'approved', 'denied', 'serving', 'rejected', 'retired', 'superseded', 'expired', 'withdrawn'));

alter table customers drop constraint customers_state_check;
alter table customers add constraint customers_state_check check (state in
  ('exported', 'planned', 'skipped', 'training', 'trained', 'evaluated', 'champion-kept',
   'pending', 'approved', 'serving', 'denied', 'rejected', 'failed', 'superseded', 'expired', 'withdrawn'));

alter table publications drop constraint publications_state_check;
alter table publications add constraint publications_state_check check (state in
  ('copied', 'serving', 'rejected', 'replaced', 'withdrawn'));

create table withdrawals (
  fleet           text not null,
  stage           text not null,
  customer_key    text not null,
  version         int not null,                 -- the one that shall no longer serve
  to_version      int,                          -- the one that was asked for; null: the newest that may
  asked_by        text not null,
  because         text,
  state           text not null check (state in ('asked', 'moved', 'removed')),
                                                -- moved: it does not serve any more; removed: its artifact is gone
  passed_over     int[] not null default '{}',  -- tried instead, but they did not answer as they should
  reason          text,                         -- why it is not moved yet, or why versions were passed over
  serves_version  int,                          -- what serves since it was moved; null: nothing
  workflow_id     text not null,
  asked_at        timestamptz not null default now(),
  moved_at        timestamptz,
  primary key (fleet, stage, customer_key, version),
  foreign key (fleet, customer_key, version) references releases
);
create index withdrawals_open on withdrawals (fleet) where state = 'asked';
