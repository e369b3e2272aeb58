/** A ledger as two cycles of a small fleet would have left it: one of each outcome. */
import pg from "pg";
import { migrateLedger } from "../../activities/ledger/migrate.js";
import { openLedger } from "../../activities/ledger/pool.js";
import { customerKey } from "../../fleet/names.js";

export const FLEET = "delays";
/** Terminal control characters in a customer's id must not reach the terminal. */
export const EVIL = "evil\u001b[2J";
export const HASH = "a".repeat(64);

const SPEC = {
  name: FLEET,
  source: { connection: "WAREHOUSE_URL", query: "select dest\n  from flights\n where t >= :floor" },
  budget: { perCycleUsd: 0.2 },
  endpoint: {
    kind: "multi-model",
    instanceType: "ml.m5.xlarge",
    instances: 2,
    naming: "versioned",
  },
  training: { source: "./code", sourceHash: HASH, entryPoint: "train.py" },
  stages: [
    { name: "sandbox", account: "111111111111" },
    { name: "prod", account: "333333333333", instanceType: "ml.m5.large", instances: 4 },
  ],
};

export async function seedLedger(url: string): Promise<void> {
  const pool = openLedger({ url, maxConnections: 1 });
  try {
    await migrateLedger(pool);
    await seed(pool);
  } finally {
    await pool.end();
  }
}

async function seed(pool: pg.Pool): Promise<void> {
  await pool.query("insert into fleet_specs (fleet, spec_hash, spec) values ($1, $2, $3)", [
    FLEET,
    "spec",
    SPEC,
  ]);
  for (const cycle of ["2013-07-01", "2013-08-01"]) {
    await pool.query(
      `insert into cycles (fleet, cycle, spec_hash, window_floor, window_ceiling, workflow_id, state, sql, columns,
                           rows, started_at, ended_at)
       values ($1, $2, 'spec', ($2 || 'T00:00:00Z')::timestamptz - interval '181 days', ($2 || 'T00:00:00Z')::timestamptz,
               'retrain-fleet/' || $1 || '/' || $2, 'completed', 'select 1', $3, 1000,
               '2026-11-01T10:00:00Z', '2026-11-01T10:01:14Z')`,
      [
        FLEET,
        cycle,
        JSON.stringify([{ name: "arr_delay" }, { name: "distance" }, { name: "hour" }]),
      ],
    );
  }
  await addModel(pool, { customer: "ATL", cycle: "2013-07-01", version: 1, state: "retired" });
  await addModel(pool, { customer: "ATL", cycle: "2013-08-01", version: 2, state: "serving" });
  await addModel(pool, { customer: "ORD", cycle: "2013-08-01", version: 1, state: "pending" });
  await addModel(pool, { customer: EVIL, cycle: "2013-08-01", version: 1, state: "pending" });
  await addCosts(pool);
  await addCustomer(pool, {
    customer: "LGA",
    state: "skipped",
    reason: "1 row, source.minimumRows asks 50",
  });
  await addCustomer(pool, {
    customer: "XNA",
    state: "failed",
    reason: "ValueError: could not convert string to float: 'x'",
    errorType: "TrainingAlgorithmError",
  });
}

/** Of the newest cycle: a job for one customer, one for all, and one whose price nobody knows. */
async function addCosts(pool: pg.Pool): Promise<void> {
  await pool.query(
    `insert into costs (job_name, fleet, cycle, customer_key, kind, region, instance_type, instances, billable_seconds,
                        warm_pool_seconds, usd_per_hour, price_source)
     select name, $1, '2013-08-01', key, kind, 'us-east-1', type, 1, 1800, warm, price, source
       from (values ('own', $2, 'training', 'ml.m5.large', 1800, 0.12, 'fleet file'),
                    ('all', 'CYCLE', 'processing', 'ml.m5.large', 0, 0.12, 'fleet file'),
                    ('odd', $2, 'training', 'ml.p5.48xlarge', 0, null, null))
         as c (name, key, kind, type, warm, price, source)`,
    [FLEET, customerKey("ATL")],
  );
  await pool.query(
    `update cycles set estimate = '{"usd": 0.1, "trainingJobs": 3}', over_budget = 'no room for another job'
      where fleet = $1 and cycle = '2013-08-01'`,
    [FLEET],
  );
  await pool.query("update jobs set cost_recorded_at = now()");
}

async function addCustomer(
  pool: pg.Pool,
  row: { customer: string; cycle?: string; state: string; reason?: string; errorType?: string },
): Promise<void> {
  await pool.query(
    `insert into customers (fleet, cycle, customer_key, customer, train_rows, validation_rows, test_rows, data_hash,
                            verification, state, reason, error_type)
     values ($1, $2, $3, $4, 600, 300, 100, $5, '["100,7"]', $6, $7, $8)`,
    [
      FLEET,
      row.cycle ?? "2013-08-01",
      customerKey(row.customer),
      row.customer,
      HASH,
      row.state,
      row.reason ?? null,
      row.errorType ?? null,
    ],
  );
}

async function addModel(
  pool: pg.Pool,
  model: { customer: string; cycle: string; version: number; state: string },
): Promise<void> {
  const { customer, cycle, version, state } = model;
  const key = customerKey(customer);
  await addCustomer(pool, { customer, cycle, state: state === "retired" ? "serving" : state });
  const job = `mf-${key}-${cycle}`;
  await pool.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, champion_metrics,
                              baseline_metrics, champion_version, artifact_uri, predictions, decision, because,
                              reasons, improvement, test_rows)
     values ($1, $2, $3, $4, '{"rmse": 15, "mae": 10, "stdev_error": 14}', $5, '{"rmse": 30, "mae": 22}', $6,
             's3://bucket/model.tar.gz', '[12.5]', 'ask', 'rmse 15 is 25 % below the champion''s 20',
             '["rmse 15 is 25 % below the champion''s 20", "the policy leaves the decision to a person"]', $7, 100)`,
    [
      FLEET,
      cycle,
      key,
      job,
      version > 1 ? { rmse: 20, mae: 12 } : null,
      version > 1 ? version - 1 : null,
      version > 1
        ? { metric: "rmse", confidence: 0.95, estimate: 0.25, low: 0.181, high: 0.312 }
        : null,
    ],
  );
  await pool.query(
    `insert into jobs (job_name, account, region, kind, fleet, cycle, customer_key, round, request_hash, request,
                       workflow_id, state, status, billable_seconds)
     values ($1, '111111111111', 'us-east-1', 'training', $2, $3, $4, 0, 'hash', $5, 'w', 'ended', 'Completed', 7)`,
    [
      job,
      FLEET,
      cycle,
      key,
      {
        AlgorithmSpecification: { TrainingImage: "sagemaker-xgboost:1.7-1" },
        ResourceConfig: { InstanceType: "ml.m5.large" },
        HyperParameters: { max_depth: "5", sagemaker_program: "train.py" },
      },
    ],
  );
  const decided = state === "pending" ? [null, null] : ["policy:delays", "2026-11-01T10:01:00Z"];
  await pool.query(
    `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name, artifact_uri,
                           state, decided_by, decided_at, workflow_id)
     values ($1, $2, $3, $4, $5, $6, 's3://bucket/model.tar.gz', $7, $8, $9, $10)`,
    [
      FLEET,
      key,
      version,
      cycle,
      `arn:package/${key}/${version}`,
      job,
      state,
      ...decided,
      `release/${FLEET}/${key}/${version}`,
    ],
  );
  if (state !== "serving" && state !== "retired") return;
  await pool.query(
    `insert into publications (fleet, stage, customer_key, version, target_model, state, verification)
     values ($1, 'sandbox', $2, $3, $4, $5, '{}')`,
    [
      FLEET,
      key,
      version,
      `${key}/v00000${version}.tar.gz`,
      state === "serving" ? "serving" : "replaced",
    ],
  );
}
