/** What has been asked of an endpoint and not been answered, and in which order it is done. Pure: no waiting here. */
import { LIMITS } from "../fleet/limits.js";
import type { Publication, ServeEndpointInput, Withdrawal } from "./messages.js";

export interface Desk {
  /** By customer, the newest version that shall serve. */
  readonly wanted: Map<string, Publication>;
  /** Older versions, each of whose releases still waits for an answer. */
  replaced: Publication[];
  /** Denied before they were published. */
  cancelled: Publication[];
  /** By version: nobody has looked at them yet. */
  readonly denied: Map<string, Withdrawal>;
  /** By version: they need the endpoint refreshed, and so wait for the next batch. */
  readonly slow: Map<string, Withdrawal>;
  /** Customers whose overwritten artifact may still be in the containers' memory: a refresh is owed. */
  readonly unsure: Set<string>;
}

export function openDesk(input: ServeEndpointInput): Desk {
  const desk: Desk = {
    wanted: new Map(),
    replaced: [],
    cancelled: [],
    denied: new Map(),
    slow: new Map(),
    unsure: new Set(input.unsure),
  };
  for (const withdrawal of input.withdrawals ?? []) deny(desk, withdrawal);
  for (const publication of input.wanted ?? []) accept(desk, publication);
  return desk;
}

/** What the next run has to be given so that nothing is lost. */
export const carryOver = (
  desk: Desk,
): Pick<ServeEndpointInput, "wanted" | "withdrawals" | "unsure"> => ({
  wanted: openPublications(desk),
  withdrawals: openWithdrawals(desk),
  unsure: [...desk.unsure],
});

export const openPublications = (desk: Desk): Publication[] => [
  ...desk.cancelled,
  ...desk.replaced,
  ...desk.wanted.values(),
];

export const openWithdrawals = (desk: Desk): Withdrawal[] => [
  ...desk.slow.values(),
  ...desk.denied.values(),
];

export function accept(desk: Desk, asked: Publication): void {
  // The denial was faster than the approval's own errand.
  if (isDenied(desk, asked)) {
    desk.cancelled.push(asked);
    return;
  }
  const other = desk.wanted.get(asked.customerKey);
  if (other === undefined || asked.version >= other.version)
    desk.wanted.set(asked.customerKey, asked);
  // The same version asked for twice is one wish.
  if (other === undefined || asked.version === other.version) return;
  desk.replaced.push(asked.version > other.version ? other : asked);
}

/** A publication of that version which has not begun is cancelled; one that it had replaced is wanted again. */
export function deny(desk: Desk, withdrawal: Withdrawal): void {
  // Asked twice is one wish; the later asker is the one who still waits.
  if (desk.slow.has(keyOf(withdrawal))) desk.slow.set(keyOf(withdrawal), withdrawal);
  else desk.denied.set(keyOf(withdrawal), withdrawal);
  const { customerKey, version } = withdrawal;
  const wanted = desk.wanted.get(customerKey);
  if (wanted?.version !== version) return;
  desk.wanted.delete(customerKey);
  desk.cancelled.push(wanted);
  const older = desk.replaced.filter(
    (one) => one.customerKey === customerKey && !isDenied(desk, one),
  );
  const next = older.sort((one, other) => other.version - one.version)[0];
  if (next === undefined) return;
  desk.replaced = desk.replaced.filter((one) => one !== next);
  desk.wanted.set(customerKey, next);
}

/** Whether a batch has work. `unsure` waits for the next batch, or for its pause to end. */
export const isAsked = (desk: Desk): boolean =>
  desk.wanted.size > 0 ||
  desk.replaced.length > 0 ||
  desk.cancelled.length > 0 ||
  desk.slow.size > 0 ||
  desk.unsure.size > 0;

export interface Batch {
  readonly publications: readonly Publication[];
  readonly withdrawals: readonly Withdrawal[];
  readonly replaced: readonly Publication[];
  readonly cancelled: readonly Publication[];
  readonly unsure: readonly string[];
}

/**
 * Takes a batch off the desk before anything is waited for: a newer version that comes meanwhile replaces none of
 * it. A customer's withdrawal waits while a version of his is published, since both would write one object; they
 * commute, as the newer version serves in the end whichever is first.
 */
export function takeBatch(desk: Desk): Batch {
  const publications = [...desk.wanted.values()].slice(0, LIMITS.publicationsPerBatch);
  for (const { customerKey } of publications) desk.wanted.delete(customerKey);
  const busy = new Set(publications.map(({ customerKey }) => customerKey));
  const withdrawals: Withdrawal[] = [];
  for (const [key, withdrawal] of desk.slow) {
    if (busy.has(withdrawal.customerKey)) continue;
    if (withdrawals.length === LIMITS.publicationsPerBatch) break;
    desk.slow.delete(key);
    // Two versions of one customer at a time would undo each other's work.
    busy.add(withdrawal.customerKey);
    withdrawals.push(withdrawal);
  }
  const { replaced, cancelled } = desk;
  const unsure = [...desk.unsure];
  desk.replaced = [];
  desk.cancelled = [];
  desk.unsure.clear();
  return { publications, withdrawals, replaced, cancelled, unsure };
}

/** Takes what nobody has looked at off the desk, one withdrawal a customer at most. */
export function takeDenied(desk: Desk): Withdrawal[] {
  const taken = new Map<string, Withdrawal>();
  for (const [key, withdrawal] of desk.denied) {
    if (taken.size === LIMITS.publicationsPerBatch) break;
    if (taken.has(withdrawal.customerKey)) continue;
    taken.set(withdrawal.customerKey, withdrawal);
    desk.denied.delete(key);
  }
  return [...taken.values()];
}

export function putBack(desk: Desk, withdrawals: readonly Withdrawal[]): void {
  for (const withdrawal of withdrawals) desk.slow.set(keyOf(withdrawal), withdrawal);
}

const isDenied = (desk: Desk, publication: Publication): boolean =>
  desk.denied.has(keyOf(publication)) || desk.slow.has(keyOf(publication));

const keyOf = ({ customerKey, version }: Publication | Withdrawal): string =>
  `${customerKey}/${version}`;
