/** The states of a release, one customer's model version, from approval to serving. */

export interface ReleaseDecision {
  readonly verdict: "approve" | "deny";
  readonly by: string;
  readonly note?: string;
}

export type ReleaseState =
  | { readonly kind: "awaiting-approval" }
  | { readonly kind: "denied"; readonly by: string; readonly note: string }
  | { readonly kind: "publishing"; readonly approvedBy: string }
  | { readonly kind: "serving"; readonly approvedBy: string; readonly targetModel: string }
  | { readonly kind: "rejected"; readonly approvedBy: string; readonly because: string };

/** A policy's approval, given at registration, needs no further decision. */
export const openRelease = (approvedBy: string | undefined): ReleaseState =>
  approvedBy === undefined ? { kind: "awaiting-approval" } : { kind: "publishing", approvedBy };

/** Why a decision cannot be taken, as a sentence with what to do; null when it can. */
export function refusalOf(state: ReleaseState, decision: Partial<ReleaseDecision>): string | null {
  if (state.kind !== "awaiting-approval") return `already decided: ${describeRelease(state)}`;
  if (decision.verdict !== "approve" && decision.verdict !== "deny")
    return 'the verdict must be "approve" or "deny"';
  if (!isText(decision.by)) return "nobody is named: give `by`, the person who decides";
  if (decision.verdict === "deny" && !isText(decision.note))
    return "a denial needs a reason: give it as `note`";
  return null;
}

/** The state after a decision that `refusalOf` does not refuse. */
export function decideRelease(decision: ReleaseDecision): ReleaseState {
  return decision.verdict === "approve"
    ? { kind: "publishing", approvedBy: decision.by }
    : { kind: "denied", by: decision.by, note: decision.note ?? "" };
}

/** One sentence for people. */
export function describeRelease(state: ReleaseState): string {
  switch (state.kind) {
    case "awaiting-approval":
      return "waits for a decision";
    case "denied":
      return `denied by ${state.by}: ${state.note}`;
    case "publishing":
      return `approved by ${state.approvedBy}, being published`;
    case "serving":
      return `approved by ${state.approvedBy}, serves as ${state.targetModel}`;
    case "rejected":
      return `approved by ${state.approvedBy}, but not published: ${state.because}`;
  }
}

const isText = (value: unknown): boolean => typeof value === "string" && value.trim() !== "";
