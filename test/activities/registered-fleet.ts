/** A fleet that lives: its models are judged, registered, decided, published and taken back by the activities themselves. */
import { createArtifactActivities } from "../../activities/artifacts.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { writeManifest } from "../../activities/export/manifest.js";
import { readCycle } from "../../activities/ledger/cycles.js";
import { createRegistryActivities } from "../../activities/registry.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { customerKey, s3Keys } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Publication } from "../../workflows/messages.js";
import { openCycle } from "./a-fleet.js";
import { run, type Parts } from "./parts.js";
import { aWithdrawal, modelArchive, put, STAGE, withRuntime } from "./publishing.js";

export interface Registration {
  readonly spec: FleetSpec;
  readonly cycle: string;
  readonly customer: string;
  readonly decision: "approve" | "ask";
}

export const jobOf = ({ spec, cycle, customer }: Omit<Registration, "decision">): string =>
  `mf-${spec.name}-${customerKey(customer)}-${cycle}`;

/** Registers one customer's challenger, as `retrainModel` has it done. */
export async function register(parts: Parts, o: Registration): Promise<Publication> {
  const { spec, cycle, customer, decision } = o;
  const { fleet } = await openCycle(parts, spec, cycle);
  const key = customerKey(customer);
  const artifact = `${s3Keys.output(fleet, cycle)}${jobOf(o)}/output/model.tar.gz`;
  await put(parts, artifact, await modelArchive(10));
  await parts.ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, train_rows, validation_rows, test_rows, data_hash,
                            verification, state, reason)
     values ($1, $2, $3, $4, 60, 30, 10, $5, '["1,2", "3,4"]', 'evaluated', 'better')`,
    [fleet, cycle, key, customer, "d".repeat(64)],
  );
  await parts.ledger.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, baseline_metrics, artifact_uri,
                              predictions, decision, because, reasons, segments, test_rows, objective_metric,
                              objective_value)
     values ($1, $2, $3, $4, '{"rmse": 1.5, "mae": 1, "stdev_error": 1.4}', '{"rmse": 3, "mae": 2}', $5, '[30, 70]', $6,
             'no champion: it “wins”; 50 % better', '["no champion: it “wins”", "50 % better"]', '[]', 10,
             'validation:rmse', 1.25)`,
    [fleet, cycle, key, jobOf(o), `s3://${parts.bucket}/${artifact}`, decision],
  );
  const input = { fleet, cycle, customerKey: key };
  const registry = createRegistryActivities({ ...parts, watchSeconds: 15 });
  const { version } = await run(registry.registerModel, input);
  const releaseWorkflowId = `release/${fleet}/${key}/${version}`;
  return { customerKey: key, version, releaseWorkflowId };
}

/** As the export of a cycle leaves it in S3. */
export async function exportManifest(parts: Parts, spec: FleetSpec, cycle: string): Promise<void> {
  const exported = await readCycle(parts.ledger, { fleet: spec.name, cycle });
  const columns = {
    ...{ customer: "customer", target: "target", booleans: new Set<string>() },
    features: [{ name: "size", type: "number" } as const],
  };
  await writeManifest(exported, { ...parts, sql: "select 1", columns, rowsWithoutCustomer: 2 });
  await parts.ledger.query(
    "update cycles set sql = 'select 1', columns = $3, rows_without_customer = 2 where fleet = $1 and cycle = $2",
    [
      spec.name,
      cycle,
      '[{"name": "target", "type": "number"}, {"name": "size", "type": "number"}]',
    ],
  );
}

export async function decide(
  parts: Parts,
  { name: fleet }: FleetSpec,
  { customerKey: key, version }: Publication,
  verdict: "approve" | "deny",
): Promise<void> {
  const registry = createRegistryActivities({ ...parts, watchSeconds: 15 });
  const state = verdict === "approve" ? "approved" : "denied";
  const decision = { verdict, by: "ada", note: "looked at it: fine?" };
  const at = new Date().toISOString();
  await run(registry.recordDecision, { fleet, customerKey: key, version, decision, state, at });
}

let clock = Date.parse("2026-11-21T14:30:00Z");

/** As the endpoint's workflow publishes a batch. */
export async function publish(
  parts: Parts,
  { name: fleet }: FleetSpec,
  ...publications: Publication[]
): Promise<void> {
  const batch = { fleet, stage: STAGE, publications };
  const endpoints = createEndpointActivities(withRuntime(parts));
  await run(createArtifactActivities(parts).copyArtifacts, batch);
  const at = new Date((clock += 1000)).toISOString();
  await run(endpoints.ensureEndpoint, { fleet, stage: STAGE, at, reload: false });
  await run(endpoints.verifyAndPoint, batch);
}

/** Denies what serves; what served before serves again, or nothing. */
export async function withdraw(
  parts: Parts,
  spec: FleetSpec,
  publication: Publication,
): Promise<void> {
  const place = { fleet: spec.name, stage: STAGE };
  const activities = createWithdrawalActivities(withRuntime(parts));
  const { customerKey: key, version } = publication;
  const decision = { verdict: "deny", by: "ben", note: "worse since Monday" } as const;
  await run(activities.recordWithdrawal, { ...place, customerKey: key, version, decision });
  const withdrawals = [await aWithdrawal(parts, spec, publication)];
  await run(activities.settleWithdrawals, { ...place, withdrawals, restored: null });
}
