-- Notifications of stages: one that waits for its own approval, one that cannot be reached, one that serves what it shall not.

alter table notifications add column stage text not null default '';  -- '': about no single stage; cycle '': about none
alter table notifications drop constraint notifications_pkey;
alter table notifications add primary key (fleet, cycle, kind, stage);

-- Stages elsewhere that do not let the worker in; no row: what was done there last was allowed.
create table closed_stages (
  fleet      text not null,
  stage      text not null,
  activity   text not null,                       -- what was refused: when it is allowed, the stage is open again
  since      timestamptz not null default now(),
  seen_at    timestamptz not null default now(),  -- when it was refused last
  because    text not null,
  primary key (fleet, stage)
);
