/** Takes the version that serves a customer out of service, and watches until another one does. */
import { setTimeout as wait } from "node:timers/promises";
import { defineSearchAttributeKey } from "@temporalio/common";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import { refusalOfWithdrawal, versionToGoBackTo, type RecordedVersion } from "../fleet/way-back.js";
import {
  DEFAULT_PACE,
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type Decision,
  type WithdrawModelInput,
} from "../workflows/messages.js";
import type { Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import { stageOf } from "./invocation.js";
import { askLedger, findCustomer } from "./ledger.js";
import { isPolled } from "./watch-cycle.js";

/** What serves a customer, and what would instead. */
export interface RollbackPlan {
  readonly fleet: string;
  readonly stage: string;
  readonly customer: string;
  readonly customerKey: string;
  readonly serving: { readonly version: number; readonly targetModel: string | null };
  /** Null: no other version may serve, so the customer's model is removed. */
  readonly next: number | null;
  /** The version to go back to that was asked for. */
  readonly to?: number;
}

/** Null on an endpoint of the customer's own. */
const TARGET_MODEL =
  "case when p.endpoint_kind in ('multi-model', 'pipeline') then p.target_model end";

interface VersionRow extends RecordedVersion {
  targetModel: string | null;
  passedOver: number[] | null;
}

/** Throws ClientError when nothing serves, or there is no way back to `to`. Changes nothing. */
export async function planRollback(
  connections: Connections,
  { fleet, customer, to }: { fleet: string; customer: string; to?: number },
): Promise<RollbackPlan> {
  const known = await findCustomer(connections, { fleet, customer });
  const stage = await servingStage(connections, { fleet, customerKey: known.customerKey });
  const versions = await askLedger<VersionRow>(
    connections,
    `select r.version, r.state, p.verification is not null as verified,
            coalesce(p.state = 'serving', false) as serves, r.collected_at is not null as collected, ${TARGET_MODEL} as "targetModel",
            w.passed_over as "passedOver"
       from releases r
       left join publications p on p.fleet = r.fleet and p.stage = $2 and p.customer_key = r.customer_key
                               and p.version = r.version
       left join withdrawals w on w.fleet = r.fleet and w.stage = $2 and w.customer_key = r.customer_key
                              and w.version = r.version
      where r.fleet = $1 and r.customer_key = $3`,
    [fleet, stage, known.customerKey],
  );
  const serving = versions.find(({ serves }) => serves);
  const look = `modelfleet models ${fleet} --customer ${known.customer}`;
  if (serving === undefined)
    throw new ClientError(
      `no version serves "${known.customer}": there is nothing to roll back`,
      look,
    );
  if (to === serving.version)
    throw new ClientError(`version ${to} is the one that serves "${known.customer}"`, look);
  const refused = refusalOfWithdrawal(versions, { version: serving.version, to });
  if (refused !== null) throw new ClientError(`"${known.customer}": ${refused}`, look);
  const passedOver = serving.passedOver ?? [];
  const { version, targetModel } = serving;
  return {
    ...{ fleet, stage, ...known },
    serving: { version, targetModel },
    next: versionToGoBackTo(versions, { version, to, passedOver }),
    ...(to === undefined ? {} : { to }),
  };
}

/** The last one that serves the customer: the others that have its version are put right with it. */
async function servingStage(
  connections: Connections,
  { fleet, customerKey }: { readonly fleet: string; readonly customerKey: string },
): Promise<string> {
  const last = await stageOf(connections, fleet);
  const [row] = await askLedger<{ stage: string }>(
    connections,
    `select p.stage
       from (select spec from cycles c join fleet_specs s using (fleet, spec_hash)
              where c.fleet = $1 order by c.cycle desc limit 1) f,
            jsonb_array_elements(f.spec -> 'stages') with ordinality as t (stage, place)
       join publications p on p.fleet = $1 and p.customer_key = $2 and p.state = 'serving'
                          and p.stage = t.stage ->> 'name'
      order by t.place desc limit 1`,
    [fleet, customerKey],
  );
  return row?.stage ?? last;
}

export interface StartedWithdrawal {
  readonly fleet: string;
  readonly stage: string;
  readonly customerKey: string;
  /** The version that leaves. */
  readonly version: number;
  readonly workflowId: string;
}

/** Starts the withdrawal, or finds the one that is under way. */
export async function startWithdrawal(
  connections: Connections,
  withdrawal: Omit<WithdrawModelInput, "pace">,
): Promise<StartedWithdrawal> {
  const { fleet, stage, customerKey, version } = withdrawal;
  const workflowId = workflowIds.withdrawModel(fleet, customerKey, version);
  const temporal = await connections.temporal();
  await temporal.workflow.start(WORKFLOWS.withdrawModel, {
    workflowId,
    taskQueue: TASK_QUEUES.control,
    args: [{ ...withdrawal, pace: DEFAULT_PACE }],
    workflowIdConflictPolicy: "USE_EXISTING",
    typedSearchAttributes: [
      { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: fleet },
      { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.customer, "KEYWORD"), value: customerKey },
    ],
    staticSummary: `Withdraw version ${version} of ${customerKey} of ${fleet}`,
  });
  return { fleet, stage, customerKey, version, workflowId };
}

/** Starts what `planRollback` has found. */
export const rollBack = (
  connections: Connections,
  { fleet, stage, customerKey, serving, to }: RollbackPlan,
  { by, because }: { by: string; because: string },
): Promise<StartedWithdrawal> => {
  const decision: Decision = { verdict: "deny", by, note: because };
  const target = to === undefined ? {} : { to };
  const { version } = serving;
  return startWithdrawal(connections, { fleet, stage, customerKey, version, decision, ...target });
};

export interface WithdrawalSnapshot {
  /** Null until the denial is on record. */
  readonly state: "asked" | "moved" | "removed" | null;
  /** Once moved: what serves instead; null: nothing does. */
  readonly servesNow: { readonly version: number; readonly targetModel: string | null } | null;
  /** Why it is not done yet, or which versions could not serve again. */
  readonly reason: string | null;
  readonly withoutWorker: boolean;
  readonly isDone: boolean;
}

const LOOK_MS = 300;

/** Until another version serves, or none; aborting only ends the watching. Throws what the withdrawal failed with. */
export async function* watchWithdrawal(
  connections: Connections,
  withdrawal: StartedWithdrawal,
  signal: AbortSignal,
): AsyncGenerator<WithdrawalSnapshot> {
  const temporal = await connections.temporal();
  const handle = temporal.workflow.getHandle(withdrawal.workflowId);
  while (!signal.aborted) {
    // The workflow first: a ledger read after its end has all that it wrote.
    const { status } = await handle.describe();
    const isRunning = status.name === "RUNNING";
    const standing = await readStanding(connections, withdrawal);
    if (!isRunning && status.name !== "COMPLETED" && standing.state === null)
      throw new ClientError(await failureOf(handle.result()), "modelfleet status");
    const isDone = standing.state === "moved" || standing.state === "removed";
    const withoutWorker = isRunning && !isDone && !(await isPolled(temporal).catch(() => true));
    yield { ...standing, withoutWorker, isDone };
    if (isDone) return;
    await wait(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

interface StandingRow {
  state: "asked" | "moved" | "removed";
  reason: string | null;
  version: number | null;
  target_model: string | null;
}

async function readStanding(
  connections: Connections,
  { fleet, stage, customerKey, version }: StartedWithdrawal,
): Promise<Pick<WithdrawalSnapshot, "state" | "servesNow" | "reason">> {
  const [row] = await askLedger<StandingRow>(
    connections,
    `select w.state, w.reason, p.version, ${TARGET_MODEL} as target_model
       from withdrawals w
       left join publications p on p.fleet = w.fleet and p.stage = w.stage
                               and p.customer_key = w.customer_key and p.version = w.serves_version
      where w.fleet = $1 and w.stage = $2 and w.customer_key = $3 and w.version = $4`,
    [fleet, stage, customerKey, version],
  );
  if (row === undefined) return { state: null, servesNow: null, reason: null };
  const { state, reason } = row;
  const servesNow =
    row.version === null ? null : { version: row.version, targetModel: row.target_model };
  return { state, servesNow, reason };
}

/** Temporal wraps failures; the innermost is the one that says what happened. */
async function failureOf(result: Promise<unknown>): Promise<string> {
  let root: unknown = await result.then(
    () => "the withdrawal ended without a word",
    (error: unknown) => error,
  );
  while (root instanceof Error && root.cause instanceof Error) root = root.cause;
  return messageOf(root);
}
