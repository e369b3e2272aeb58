/** Single settings out of the environment, each with an error that says how to get it. */
import type { Environment } from "../settings/environment.js";
import { secretReader } from "../settings/secrets.js";
import { ClientError } from "./errors.js";

export type { Environment };

const MEANINGS = {
  MODELFLEET_BUCKET: "the S3 bucket that holds code, data and models",
  MODELFLEET_ROLE_ARN: "the role that SageMaker's jobs and endpoints assume",
  AWS_REGION: "the AWS region",
} as const;

export type SettingName = keyof typeof MEANINGS;

export function setting(environment: Environment, name: SettingName): string {
  const value = environment[name];
  if (value !== undefined && value !== "") return value;
  throw new ClientError(
    `${name} (${MEANINGS[name]}) is not set, and no .modelfleet/local/env is here or above`,
    "modelfleet local up, or set it for your own stack",
  );
}

/** The Postgres URL of modelfleet's ledger: a secret, by value or by reference. */
export async function ledgerUrl(environment: Environment): Promise<string> {
  const name = "MODELFLEET_LEDGER_URL";
  const url = await secretReader(environment)(name);
  if (url !== undefined) return url;
  throw new ClientError(
    `${name} (the Postgres URL of modelfleet's ledger) is not set, and no .modelfleet/local/env is here or above`,
    "modelfleet local up, or set it, or the secret's reference, for your own stack",
  );
}

/** The URL a fleet's secret stands for. Only its name is ever in a fleet file. */
export async function secret(environment: Environment, name: string): Promise<string> {
  const value = await secretReader(environment)(name);
  if (value !== undefined) return value;
  throw new ClientError(
    `the secret ${name} (source.connection of the fleet file) is not set`,
    `export ${name}=postgres://user:password@host:5432/database`,
  );
}

/** Address of a workflow in Temporal's web UI, if the environment says where that is. */
export function workflowPage(
  environment: Environment,
  workflow: { workflowId: string; runId?: string },
): string | undefined {
  const run = workflow.runId === undefined ? "" : `/${workflow.runId}/history`;
  return temporalPage(environment, `workflows/${encodeURIComponent(workflow.workflowId)}${run}`);
}

/** Address of a schedule in Temporal's web UI, likewise. */
export function schedulePage(environment: Environment, scheduleId: string): string | undefined {
  return temporalPage(environment, `schedules/${encodeURIComponent(scheduleId)}`);
}

function temporalPage(environment: Environment, path: string): string | undefined {
  const base = environment.MODELFLEET_TEMPORAL_UI;
  if (base === undefined || base === "") return undefined;
  const namespace = encodeURIComponent(environment.TEMPORAL_NAMESPACE ?? "default");
  return `${base.replace(/\/$/, "")}/namespaces/${namespace}/${path}`;
}
