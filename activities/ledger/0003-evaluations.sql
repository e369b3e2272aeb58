-- What the gate went by: how sure an improvement is, how it fares by segment, and every reason by itself.
alter table evaluations
  add column testing           boolean not null default false, -- of a cycle that only tries the whole path
  add column objective_metric  text,                           -- what was optimised, on the validation rows
  add column objective_value   double precision,
  add column test_rows         bigint,
  add column improvement       jsonb,                          -- over the champion: {metric, confidence, estimate, low, high}
  add column segments          jsonb not null default '[]',    -- [{column, drop}]: the error's largest growth for one value
  add column reasons           jsonb not null default '[]';    -- of `because`, one by one
