/** What a decision made in SageMaker's model registry asks for, by how the ledger's version stands. */

/** States of a version whose approval status in the registry is watched. */
export type WatchedState = "pending" | "approved" | "serving";

/**
 * - `approve`, `deny`: told to the release, which still goes on.
 * - `withdraw`: the release has ended, the version serves and must not.
 *
 * Null when the registry says what the ledger says, and for what is no decision: a status set back to
 * PendingManualApproval. Versions that are denied, superseded, expired, withdrawn or retired are not watched:
 * approving one in the registry brings it nowhere (`modelfleet rollback` does).
 */
export function registryChange(
  state: WatchedState,
  modelApprovalStatus: string | undefined,
): "approve" | "deny" | "withdraw" | null {
  if (modelApprovalStatus === "Approved") return state === "pending" ? "approve" : null;
  if (modelApprovalStatus !== "Rejected") return null;
  return state === "serving" ? "withdraw" : "deny";
}
