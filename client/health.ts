/** Checks every part that modelfleet stands on: whether it answers, whether it is set up, how to mend it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Client } from "@temporalio/client";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import { secretReader } from "../settings/secrets.js";
import { TASK_QUEUES } from "../workflows/messages.js";
import { openPool, placeOf, REACH_TIMEOUT_MS, type Connections } from "./connections.js";
import { hintOf, messageOf } from "./errors.js";
import type { Check } from "./health-check.js";
import { checkBucket, checkIdentity, checkRole, checkSageMaker } from "./health-aws.js";
import { checkStages } from "./health-stages.js";
import { askLedger } from "./ledger.js";
import { warehouseError } from "./postgres-errors.js";
import { ledgerUrl, secret } from "./settings.js";
import { isPolled } from "./watch-cycle.js";

/** All checks at a time; none takes longer than a few seconds. `declared`: fleets that may not be on record yet. */
export async function checkHealth(
  connections: Connections,
  declared: readonly FleetSpec[] = [],
): Promise<Check[]> {
  const groups = await Promise.all([
    checkNode(),
    guarded("python", checkPython),
    guarded("temporal", () => checkTemporal(connections)),
    guarded("ledger", () => checkLedger(connections)),
    checkWarehouses(connections),
    guarded("s3", () => checkBucket(connections)),
    guarded("sagemaker", () => checkSageMaker(connections)),
    guarded("aws account", () => checkIdentity(connections)),
    guarded("role", () => checkRole(connections)),
    guarded("stages", () => checkStages(connections, declared)),
  ]);
  return groups.flat();
}

/** A check that throws is a problem; its error says how to mend it. */
async function guarded(part: string, check: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await check();
  } catch (error) {
    const mend = hintOf(error);
    const found = messageOf(error);
    return [{ part, state: "problem", found, ...(mend === undefined ? {} : { mend }) }];
  }
}

async function checkNode(): Promise<Check[]> {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  return [
    {
      part: "node",
      state: fits ? "ok" : "problem",
      found: process.versions.node,
      ...(fits ? {} : { mend: "install Node 20.19 or newer" }),
    },
  ];
}

/** Only the local stack runs Python on this machine; with AWS it runs in SageMaker's containers. */
async function checkPython(): Promise<Check[]> {
  const found = await Promise.any(
    ["python3", "python3.14", "python3.13", "python3.12", "python3.11"].map(async (name) => {
      const { stdout, stderr } = await promisify(execFile)(name, ["--version"], {
        timeout: REACH_TIMEOUT_MS,
      });
      const version = /(\d+)\.(\d+)\.\d+/.exec(stdout + stderr);
      if (Number(version?.[1]) !== 3 || Number(version?.[2]) < 11) throw new Error("too old");
      return `${version?.[0] ?? ""} (${name})`;
    }),
  ).catch(() => undefined);
  if (found !== undefined) return [{ part: "python", state: "ok", found }];
  return [
    {
      part: "python",
      state: "note",
      found: "no Python 3.11 or newer on the PATH; the local stack needs one, AWS does not",
      mend: "install Python 3.11 or newer with venv",
    },
  ];
}

async function checkTemporal(connections: Connections): Promise<Check[]> {
  const temporal = await connections.temporal();
  const { namespace } = temporal.options;
  await temporal.workflowService.describeNamespace({ namespace });
  const { environment } = connections;
  const { temporalSettings } = await import("../settings/temporal.js");
  const { address } = await temporalSettings(environment, secretReader(environment));
  const polled = await Promise.all(
    Object.values(TASK_QUEUES).map((queue) => isPolled(temporal, queue)),
  );
  return [
    { part: "temporal", state: "ok", found: `${address}, namespace ${namespace}` },
    await checkSearchAttributes(temporal),
    polled.every((one) => one)
      ? { part: "worker", state: "ok", found: "polls both task queues" }
      : {
          part: "worker",
          state: "problem",
          found: "no worker has asked for work of late",
          mend: "modelfleet worker",
        },
  ];
}

async function checkSearchAttributes(temporal: Client): Promise<Check> {
  const part = "search attributes";
  const { namespace } = temporal.options;
  const listed = await temporal.connection.operatorService
    .listSearchAttributes({ namespace })
    .catch(() => undefined);
  if (listed === undefined)
    return {
      part,
      state: "note",
      found: "this Temporal does not list them to us (Temporal Cloud may not)",
      mend: "look in its web UI; docs/temporal-cloud.md says which there must be",
    };
  const missing = Object.values(SEARCH_ATTRIBUTES).filter(
    (name) => !(name in (listed.customAttributes ?? {})),
  );
  if (missing.length === 0) return { part, state: "ok", found: "all registered" };
  const create = (name: string) =>
    `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type Keyword`;
  return {
    part,
    state: "problem",
    found: `not registered: ${missing.join(", ")}`,
    mend: missing.map(create).join(" && "),
  };
}

const TABLES = ["fleet_specs", "cycles", "customers", "jobs", "evaluations", "releases"];

async function checkLedger(connections: Connections): Promise<Check[]> {
  const url = await ledgerUrl(connections.environment);
  const rows = await askLedger<{ name: string }>(
    connections,
    "select table_name::text as name from information_schema.tables where table_schema = 'modelfleet'",
  );
  const there = new Set(rows.map((row) => row.name));
  const missing = TABLES.filter((table) => !there.has(table));
  if (missing.length === 0) return [{ part: "ledger", state: "ok", found: placeOf(url) }];
  return [
    {
      part: "ledger",
      state: "problem",
      found: `${placeOf(url)} answers, but lacks the tables ${missing.join(", ")}`,
      mend: "modelfleet worker (it creates them when it starts)",
    },
  ];
}

/** Those that fleets on record name, and the local stack's. */
async function checkWarehouses(connections: Connections): Promise<Check[]> {
  const names = new Set<string>();
  if (connections.environment.WAREHOUSE_URL !== undefined) names.add("WAREHOUSE_URL");
  const specs = await askLedger<{ name: string | null }>(
    connections,
    "select distinct spec #>> '{source,connection}' as name from fleet_specs",
  ).catch(() => []);
  for (const { name } of specs) if (name !== null) names.add(name);
  const checks = [...names].map((name) =>
    guarded(`warehouse ${name}`, () => checkWarehouse(connections, name)),
  );
  return (await Promise.all(checks)).flat();
}

async function checkWarehouse(connections: Connections, name: string): Promise<Check[]> {
  const url = await secret(connections.environment, name);
  const pool = await openPool(url);
  try {
    await pool.query("select 1");
    return [{ part: `warehouse ${name}`, state: "ok", found: placeOf(url) }];
  } catch (error) {
    throw warehouseError(error, name, url);
  } finally {
    await pool.end();
  }
}
