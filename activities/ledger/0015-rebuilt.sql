-- Ledgers that were lost: when this one took a fleet over from its lineage in S3. Which ledger a lineage was written
-- from, its manifest says; a lineage is only overwritten by the ledger that wrote it, or that took it over.
create table rebuilds (
  fleet        text not null,
  ledger       text not null,                    -- that the lineage was written from
  written_at   timestamptz not null,             -- the lineage
  source       text not null,                    -- where it was read
  rebuilt_by   text not null,
  rebuilt_at   timestamptz not null default now(),
  found        jsonb not null,                   -- what the registry and the stages knew beyond it, and what nobody knows
  primary key (fleet, rebuilt_at)
);
