/** The demo's way back: a version that serves is denied, and the one before it answers again. */
import { userInfo } from "node:os";
import { say } from "../../client/cli/print.js";
import type { Shell } from "../../client/cli/shell.js";
import type { Connections } from "../../client/connections.js";
import { ClientError } from "../../client/errors.js";
import { invokeModel, readPointer, readSampleRows } from "../../client/invocation.js";
import { readCustomers } from "../../client/ledger.js";
import { readModels } from "../../client/models.js";
import {
  planRollback,
  rollBack,
  watchWithdrawal,
  type RollbackPlan,
} from "../../client/rollback.js";
import type { CycleRun } from "../../client/run-cycle.js";
import { FLEET } from "./demo-cycle.js";

const BECAUSE = "denied in the demo, to show the way back";
const WITHDRAWAL_TIMEOUT_MS = 120_000;

export interface WayBack {
  readonly customer: string;
  readonly denied: number;
  readonly servesAgain: number;
  /** From the denial until the version before served. */
  readonly seconds: number;
  /** Of one held-out flight, in minutes: by the version that was denied, and by the one that serves again. */
  readonly predicted: { readonly denied: number; readonly again: number };
  /** Held-out flights of the version that serves again whose predictions are those of its training, to the number. */
  readonly same: { readonly rows: number; readonly of: number };
}

/** Of the cycle's models that serve, the largest that has a version to go back to; undefined in a first cycle. */
export async function planWayBack(
  connections: Connections,
  { cycle }: CycleRun,
): Promise<RollbackPlan | undefined> {
  const models = await readModels(connections, { fleet: FLEET, states: ["serving"], cycle });
  const withChampion = new Set(
    models
      .filter(({ championVersion }) => championVersion !== null)
      .map((model) => model.customerKey),
  );
  const customers = await readCustomers(connections, { fleet: FLEET, cycle, states: ["serving"] });
  const bySize = customers
    .filter(({ customerKey }) => withChampion.has(customerKey))
    .sort((a, b) => b.rows.train - a.rows.train);
  for (const { customer } of bySize) {
    const plan = await planRollback(connections, { fleet: FLEET, customer });
    if (plan.next !== null) return plan;
  }
  return undefined;
}

/** Denies the version that serves, waits until the one before does, and compares what both answer. */
export async function denyWhatServes(
  shell: Shell,
  connections: Connections,
  plan: RollbackPlan,
): Promise<WayBack> {
  const { customer, serving } = plan;
  const flight = (await readSampleRows(connections, { fleet: FLEET, customer })).rows[0] ?? "";
  const denied = await answer(connections, customer, [flight]);
  const started = performance.now();
  const because = BECAUSE;
  const withdrawal = await rollBack(connections, plan, { by: userInfo().username, because });
  const signal = AbortSignal.timeout(WITHDRAWAL_TIMEOUT_MS);
  let servesAgain: number | undefined;
  for await (const { servesNow } of watchWithdrawal(connections, withdrawal, signal))
    servesAgain = servesNow?.version;
  if (servesAgain === undefined)
    throw new ClientError(
      `version ${serving.version} of ${customer} was denied, but no version before it serves yet`,
      `npx modelfleet lineage ${FLEET} ${customer} --version ${serving.version}`,
    );
  const seconds = (performance.now() - started) / 1000;
  const again = await answer(connections, customer, [flight]);
  const { green, dim } = shell.progressColors;
  say(
    shell,
    `${green("✓")} ${customer}: version ${serving.version} denied, version ${servesAgain} serves again after ${seconds.toFixed(1)} s`,
  );
  say(
    shell,
    `  ${dim(`npx modelfleet lineage ${FLEET} ${customer} --version ${serving.version}`)}`,
  );
  return {
    customer,
    denied: serving.version,
    servesAgain,
    seconds,
    predicted: { denied: denied[0] ?? NaN, again: again[0] ?? NaN },
    same: await compare(connections, customer),
  };
}

async function answer(
  connections: Connections,
  customer: string,
  rows: readonly string[],
): Promise<readonly number[]> {
  const { targetModel } = await readPointer(connections, { fleet: FLEET, customer });
  const body = rows.join("\n");
  return (await invokeModel(connections, { fleet: FLEET, targetModel, body })).predictions;
}

/** What serves now against what its training predicted for its own held-out rows. */
async function compare(
  connections: Connections,
  customer: string,
): Promise<{ rows: number; of: number }> {
  const { rows, predictions } = await readSampleRows(connections, { fleet: FLEET, customer });
  const served = await answer(connections, customer, rows);
  const same = predictions.filter((predicted, row) => predicted === served[row]);
  return { rows: same.length, of: rows.length };
}
