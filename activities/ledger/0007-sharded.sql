-- Sharded training: one job for a whole cohort, which may search each customer's hyperparameters by itself.

-- A search inside of a sharded job: its trials are no jobs of SageMaker's, and no tuning job can start from it.
alter table tuning_jobs add column packed boolean not null default false;
