-- Preparation: one processing job for a whole cycle, and preprocessors that all customers of a fleet share.

alter table jobs drop constraint jobs_kind_check;
alter table jobs add constraint jobs_kind_check check (kind in ('training', 'tuning', 'processing', 'transform'));

alter table cycles drop constraint cycles_state_check;
alter table cycles add constraint cycles_state_check check (state in
  ('exporting', 'preparing', 'planning', 'training', 'completed', 'failed', 'cancelled'));
alter table cycles
  add column prepared    text,   -- S3 key of the folder that the preparation wrote; null: rows are used as exported
  add column transformed text,   -- S3 key of the folder of the rows that the preprocessor prepared; null without one
  add column generation  int;    -- of that preprocessor

-- As before, for what takes places of training: processing and transform jobs have quotas of their own at AWS, which
-- say so when they are full.
create or replace function admit_job(job jobs, quota int, tuning_quota int) returns text language plpgsql as $$
declare
  known text;
begin
  perform pg_advisory_xact_lock(hashtextextended('modelfleet jobs ' || job.account || ' ' || job.region, 0));
  update jobs set admitted_at = now() where job_name = job.job_name and state = 'admitted';
  select state into known from jobs where job_name = job.job_name;
  if known is not null then
    return known;
  end if;
  if job.kind in ('training', 'tuning') and
     (select coalesce(sum(j.slots), 0) + job.slots > quota
          or job.kind = 'tuning' and count(*) filter (where j.kind = 'tuning') >= tuning_quota
        from jobs j
       where j.account = job.account and j.region = job.region and j.state <> 'ended'
         and j.kind in ('training', 'tuning')) then
    return 'full';
  end if;
  insert into jobs select job.*;
  return 'admitted';
end $$;
