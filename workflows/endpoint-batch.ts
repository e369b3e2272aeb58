/** One pass over an endpoint: artifacts put in place, one refresh for all, then each model is verified. */
import { log, setCurrentDetails } from "@temporalio/workflow";
import { artifacts, messenger, refresh, verification, wayBack } from "./activities.js";
import { type Batch, type Desk, putBack } from "./desk.js";
import { failureOf } from "./failures.js";
import type { Publication, ServeEndpointInput, Withdrawal } from "./messages.js";

export interface Refreshes {
  /** ISO time that named the last endpoint config. */
  refreshedAt?: string;
}

/**
 * Answers every publication of the batch. Withdrawals that are not done, and customers whose artifact has to be put
 * back, are left on the desk; false when that is because the endpoint could not be refreshed.
 */
export async function serveBatch(
  input: ServeEndpointInput,
  refreshes: Refreshes,
  batch: Batch,
  desk: Desk,
): Promise<boolean> {
  const { fleet, stage } = input;
  const { publications, withdrawals, replaced, cancelled } = batch;
  setCurrentDetails(
    `Publishing ${publications.length} versions, withdrawing ${withdrawals.length}; ` +
      `${desk.wanted.size} more are wanted`,
  );
  if (replaced.length > 0) await reject(input, replaced, "a newer version took its place");
  if (cancelled.length > 0)
    await messenger.cancelPublications({ fleet, stage, publications: cancelled });
  const work: Work = { left: publications, open: withdrawals, undo: batch.unsure };
  try {
    await serve(input, refreshes, work, desk);
    return true;
  } catch (error) {
    const failure = failureOf(error);
    const { left, open, undo } = work;
    const counts = { publications: left.length, withdrawals: open.length };
    log.error("endpoint not refreshed", { fleet, stage, ...counts, ...failure });
    if (left.length > 0) await reject(input, left, failure.message);
    putBack(desk, open);
    // Their artifacts may be in place without the endpoint knowing: the next pass refreshes in any case.
    for (const key of [...undo, ...open.map(customerOf)]) desk.unsure.add(key);
    if (open.length > 0) {
      const because = failure.message;
      await messenger.tellDelay({ fleet, stage, withdrawals: open, because });
    }
    return false;
  }
}

/** What is still to be answered or put right, at any moment of the pass. */
interface Work {
  left: readonly Publication[];
  open: readonly Withdrawal[];
  /** Customers whose stable artifact is not (or may not be) what the ledger says serves. */
  undo: readonly string[];
}

async function serve(
  input: ServeEndpointInput,
  refreshes: Refreshes,
  work: Work,
  desk: Desk,
): Promise<void> {
  const { fleet, stage } = input;
  const owed = work.undo;
  const overwritten = await copy(input, work);
  const published = new Set(work.left.map(customerOf));
  const touched = new Set([...owed, ...overwritten, ...work.open.map(customerOf)]);
  const toRestore = [...touched].filter((key) => !published.has(key));
  const restoring = { fleet, stage, customerKeys: toRestore };
  const { restored, reload } =
    toRestore.length === 0
      ? { restored: [], reload: false }
      : await artifacts.restoreArtifacts(restoring);
  if (work.left.length + toRestore.length === 0) return;
  await makeRefresh(input, refreshes, reload || overwritten.length > 0);
  const refused = await verify(input, work);
  work.undo = overwritten.filter((key) => refused.includes(key));
  if (work.open.length > 0) {
    const settling = { fleet, stage, withdrawals: work.open, restored };
    const { open } = await wayBack.settleWithdrawals(settling);
    putBack(desk, open);
    work.open = [];
  }
  if (work.undo.length > 0) await undo(input, refreshes, work);
}

/** Returns whose one artifact was overwritten; `left` are those that may go on. */
async function copy({ fleet, stage }: ServeEndpointInput, work: Work): Promise<readonly string[]> {
  if (work.left.length === 0) return [];
  const owed = work.undo;
  // Until the activity has told which: what it was doing when it failed for good may be half done.
  work.undo = [...owed, ...work.left.map(customerOf)];
  const batch = { fleet, stage, publications: work.left };
  const { rejected, overwritten } = await artifacts.copyArtifacts(batch);
  work.left = work.left.filter(
    ({ customerKey, version }) =>
      !rejected.some((one) => one.customerKey === customerKey && one.version === version),
  );
  work.undo = [...owed, ...overwritten];
  return overwritten;
}

/** Returns the customers whose version was refused. */
async function verify(
  { fleet, stage }: ServeEndpointInput,
  work: Work,
): Promise<readonly string[]> {
  if (work.left.length === 0) return [];
  const batch = { fleet, stage, publications: work.left };
  const { refused } = await verification.verifyAndPoint(batch);
  work.left = [];
  return refused;
}

/** The versions before come back under their stable names, all with one more refresh. */
async function undo(input: ServeEndpointInput, refreshes: Refreshes, work: Work): Promise<void> {
  const { fleet, stage } = input;
  await artifacts.restoreArtifacts({ fleet, stage, customerKeys: work.undo });
  await makeRefresh(input, refreshes, true);
  work.undo = [];
}

async function makeRefresh(
  { fleet, stage }: ServeEndpointInput,
  refreshes: Refreshes,
  reload: boolean,
): Promise<void> {
  const at = timeOfRefresh(refreshes.refreshedAt);
  refreshes.refreshedAt = at;
  await refresh.ensureEndpoint({ fleet, stage, at, reload });
}

/** Now; yet at least a second after the last, since seconds tell endpoint configs apart. */
export function timeOfRefresh(last: string | undefined): string {
  const earliest = last === undefined ? 0 : Date.parse(last) + 1000;
  return new Date(Math.max(Date.now(), earliest)).toISOString();
}

export async function reject(
  { fleet, stage }: ServeEndpointInput,
  publications: readonly Publication[],
  because: string,
): Promise<void> {
  await messenger.rejectPublications({ fleet, stage, publications, because });
}

const customerOf = ({ customerKey }: Publication | Withdrawal): string => customerKey;
