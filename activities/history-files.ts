/** Writes what the ledger knows of a fleet into its bucket: its history as CSV files for people, and its lineage. */
import type { S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import pg from "pg";
import { to as copyTo } from "pg-copy-streams";
import { s3Keys } from "../fleet/names.js";
import { inTransaction } from "./ledger/transaction.js";
import { writeLineage } from "./lineage/write.js";
import { withHeartbeat } from "./patience.js";

export interface HistoryFilesDependencies {
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly bucket: string;
}

export const createHistoryFilesActivities = ({ ledger, s3, bucket }: HistoryFilesDependencies) => ({
  /**
   * `evaluationhistory.csv` and `tuningjobhistory.csv`, each the whole history of the fleet: under one key, of which
   * the versioned bucket keeps every state. Postgres writes the CSV, and it streams: memory does not grow with it. Then
   * the lineage, from which a ledger that is lost is rebuilt: last, as it may be refused (`writeLineage` says when).
   *
   * When two cycles end at once, no row is lost. A lock is held from before a file is read in the ledger until S3 has
   * taken it, so the later write is the later reading; and a cycle asks only when its own evaluations are committed,
   * so the last of the two writes the rows of both. An attempt whose connection to the ledger breaks loses its lock,
   * but with it the rows that it was reading, so it has nothing to overwrite a newer file with. Heartbeats.
   */
  async writeHistoryFiles({ fleet }: { readonly fleet: string }): Promise<void> {
    await withHeartbeat(async () => {
      await writeHistories({ ledger, s3, bucket }, fleet);
      await writeLineage({ ledger, s3, bucket }, { fleet, at: new Date() });
    });
  },
});
export type HistoryFilesActivities = ReturnType<typeof createHistoryFilesActivities>;

const writeHistories = (
  { ledger, s3, bucket }: HistoryFilesDependencies,
  fleet: string,
): Promise<void> =>
  inTransaction(ledger, async (connection) => {
    await connection.query("select pg_advisory_xact_lock(hashtextextended($1, 0))", [
      `modelfleet history ${fleet}`,
    ]);
    // Everything is read, so everything is joined by hashing. Of tables that a cycle has just filled Postgres has no
    // statistics yet, and would take them for small: measured, 20,000 customers in 84 s by nested loops, in 2 s so.
    await connection.query("set local enable_nestloop = off");
    for (const [file, select] of Object.entries(HISTORIES)) {
      // COPY takes no parameters.
      const sql = select.replaceAll("$1", pg.escapeLiteral(fleet));
      const rows = connection.query(copyTo(`copy (${sql}) to stdout (format csv, header)`));
      // The upload hears of a broken connection, unless it has given up before: then nobody would.
      rows.on("error", () => undefined);
      const upload = new Upload({
        client: s3,
        params: {
          Bucket: bucket,
          Key: s3Keys.history(fleet, file),
          Body: rows,
          ContentType: "text/csv",
        },
        queueSize: 1,
      });
      await upload.done();
    }
  });

const time = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY/MM/DD HH24:MI:SS') as datetime`;

/** As pandas writes and reads it. */
const truth = (column: string): string => `case when ${column} then 'True' else 'False' end`;

/** What XGBoost goes by unless it is told otherwise. */
const objective = `coalesce(s.spec #>> '{training,hyperparameters,objective}', 'reg:squarederror') as objective`;

/**
 * Columns of the notebooks that such files came from first, under their names and in their order; more after them.
 * Ordered by when a row came to be, and then by what is unique: the same ledger gives the same file.
 */
const HISTORIES = {
  "evaluationhistory.csv": `
    select ${time("e.created_at")}, ${truth("e.testing")} as testing, e.training_job_name as trainingjob, ${objective},
           e.objective_metric as hyperparameter_tuning_metric, e.metrics ->> 'mae' as mae, e.metrics ->> 'rmse' as rmse,
           e.metrics ->> 'stdev_error' as stdev_error,
           c.customer, e.cycle, e.objective_value as hyperparameter_tuning_metric_value, e.test_rows,
           e.champion_version, e.champion_metrics ->> 'mae' as champion_mae,
           e.champion_metrics ->> 'rmse' as champion_rmse, e.champion_metrics ->> 'stdev_error' as champion_stdev_error,
           e.baseline_metrics ->> 'mae' as baseline_mae, e.baseline_metrics ->> 'rmse' as baseline_rmse,
           e.improvement ->> 'metric' as improvement_metric, e.improvement ->> 'estimate' as improvement,
           e.improvement ->> 'low' as improvement_low, e.improvement ->> 'high' as improvement_high,
           e.improvement ->> 'confidence' as improvement_confidence,
           e.decision, e.because, r.version, r.state
      from evaluations e
      join customers c using (fleet, cycle, customer_key)
      join cycles y using (fleet, cycle)
      join fleet_specs s using (fleet, spec_hash)
      left join releases r using (fleet, cycle, customer_key)
     where fleet = $1
     order by e.created_at, e.cycle, e.customer_key`,
  "tuningjobhistory.csv": `
    select ${time("t.ended_at")}, t.tuning_job_name as tuningjob, s.spec #>> '{source,target}' as metric,
           t.fleet as layer, ${objective}, t.objective_metric as eval_metric, t.best_value as eval_metric_value,
           t.max_jobs as trainingjobcount,
           c.customer, t.cycle, ${truth("t.testing")} as testing, t.status, t.objective_direction as direction,
           t.best_training_job_name as best_training_job, t.warm_start_type,
           (select string_agg(parent, ' ') from jsonb_array_elements_text(t.parents) as parent) as parents,
           t.warm_start_because
      from tuning_jobs t
      join customers c using (fleet, cycle, customer_key)
      join cycles y using (fleet, cycle)
      join fleet_specs s using (fleet, spec_hash)
     where fleet = $1 and t.ended_at is not null
     order by t.ended_at, t.tuning_job_name`,
} as const;
