-- Stages: how far each version has come on its way through its fleet's stages. What a stage serves, its publications say.

create table promotions (
  fleet         text not null,
  customer_key  text not null,
  version       int not null,
  stage         text not null,
  place         int not null,                  -- in order of promotion, from 0
  state         text not null check (state in
                  ('ahead', 'approval', 'stage-approval', 'held', 'lag', 'publishing', 'serving', 'rejected',
                   'skipped', 'ended')),       -- ended: the version never comes into the stage
  due_at        timestamptz,                   -- of a lag
  approved_by   text,                          -- for this stage, where it wants an approval of its own
  approved_at   timestamptz,
  note          text,                          -- who holds it, or skips the stage; why it was rejected
  updated_at    timestamptz not null default now(),
  primary key (fleet, customer_key, version, stage)
);
create index promotions_under_way on promotions (fleet, customer_key)
  where state in ('ahead', 'approval', 'stage-approval', 'held', 'lag', 'publishing');
