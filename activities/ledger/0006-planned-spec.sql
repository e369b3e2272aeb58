-- A cycle that is run again with another spec leaves alone the customers it has released already: what their
-- models were made from is theirs, and not the cycle's newest.
alter table customers add column planned_spec_hash text;  -- the cycle's when the customer was planned; null before
