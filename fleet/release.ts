/** The states of a release, one customer's model version, from approval to serving and out of it. */

export interface ReleaseDecision {
  readonly verdict: "approve" | "deny";
  readonly by: string;
  readonly note?: string;
}

export type ReleaseState =
  | { readonly kind: "awaiting-approval" }
  | { readonly kind: "denied"; readonly by: string; readonly note: string }
  /** By a newer version of the same customer, before anybody had decided; `approvedBy`: on its way through the stages. */
  | { readonly kind: "superseded"; readonly version: number; readonly approvedBy?: string }
  | { readonly kind: "expired"; readonly after: string }
  | { readonly kind: "publishing"; readonly approvedBy: string }
  /** The endpoint may serve it or not: only its answer tells what is left to do. */
  | { readonly kind: "denied-while-publishing"; readonly by: string; readonly note: string }
  | { readonly kind: "serving"; readonly approvedBy: string; readonly targetModel: string | null }
  /** It serves, and has to be withdrawn. */
  | { readonly kind: "denied-while-serving"; readonly by: string; readonly note: string }
  | { readonly kind: "rejected"; readonly approvedBy: string; readonly because: string };

export type ReleaseEvent =
  | { readonly kind: "decided"; readonly decision: ReleaseDecision }
  | { readonly kind: "superseded"; readonly version: number }
  /** A newer version that is approved serves: this one comes into no further stage. */
  | { readonly kind: "overtaken"; readonly version: number }
  | { readonly kind: "expired"; readonly after: string }
  | { readonly kind: "served"; readonly targetModel: string | null }
  | { readonly kind: "not-served"; readonly because: string };

/** A policy's approval, given at registration, needs no further decision. */
export const openRelease = (approvedBy: string | undefined): ReleaseState =>
  approvedBy === undefined ? { kind: "awaiting-approval" } : { kind: "publishing", approvedBy };

/**
 * Why a decision cannot be taken, as a sentence with what to do; null when it can. A denial can be taken at any
 * instant until the version is denied, an approval only while nothing is decided.
 */
export function refusalOf(state: ReleaseState, decision: Partial<ReleaseDecision>): string | null {
  const open =
    state.kind === "awaiting-approval" || (decision.verdict === "deny" && "approvedBy" in state);
  if (!open) return `already decided: ${describeRelease(state)}`;
  if (decision.verdict !== "approve" && decision.verdict !== "deny")
    return 'the verdict must be "approve" or "deny"';
  if (!isText(decision.by)) return "nobody is named: give `by`, the person who decides";
  if (decision.verdict === "deny" && !isText(decision.note))
    return "a denial needs a reason: give it as `note`";
  return null;
}

/** Whether the decision says what has been decided already: the echo of one that came another way. */
export function isEcho(state: ReleaseState, verdict: ReleaseDecision["verdict"]): boolean {
  if (state.kind === "awaiting-approval") return false;
  return "approvedBy" in state === (verdict === "approve");
}

/** The state after an event. What comes too late, or twice, changes nothing: the same state is returned. */
export function nextState(state: ReleaseState, event: ReleaseEvent): ReleaseState {
  switch (event.kind) {
    case "decided":
      return refusalOf(state, event.decision) === null ? decided(state, event.decision) : state;
    case "superseded":
      return state.kind === "awaiting-approval" ? event : state;
    case "overtaken":
      return state.kind === "publishing" ? { ...state, ...event, kind: "superseded" } : state;
    case "expired":
      return state.kind === "awaiting-approval" ? event : state;
    case "served":
      if (state.kind === "publishing")
        return { ...event, kind: "serving", approvedBy: state.approvedBy };
      return state.kind === "denied-while-publishing"
        ? { ...state, kind: "denied-while-serving" }
        : state;
    case "not-served":
      if (state.kind === "publishing")
        return { ...event, kind: "rejected", approvedBy: state.approvedBy };
      return state.kind === "denied-while-publishing" ? { ...state, kind: "denied" } : state;
  }
}

function decided(state: ReleaseState, decision: ReleaseDecision): ReleaseState {
  const { verdict, by, note = "" } = decision;
  if (verdict === "approve") return { kind: "publishing", approvedBy: by };
  if (state.kind === "publishing") return { kind: "denied-while-publishing", by, note };
  if (state.kind === "serving") return { kind: "denied-while-serving", by, note };
  return { kind: "denied", by, note };
}

/** One sentence for people. */
export function describeRelease(state: ReleaseState): string {
  switch (state.kind) {
    case "awaiting-approval":
      return "waits for a decision";
    case "denied":
      return `denied by ${state.by}: ${state.note}`;
    case "superseded":
      return state.approvedBy === undefined
        ? `superseded by version ${state.version} before anybody decided`
        : `approved by ${state.approvedBy}, superseded by version ${state.version} on its way`;
    case "expired":
      return `expired: nobody decided within ${state.after}`;
    case "publishing":
      return `approved by ${state.approvedBy}, being published`;
    case "denied-while-publishing":
      return `denied by ${state.by} while it was being published: ${state.note}`;
    case "serving":
      return `approved by ${state.approvedBy}, serves ${servedAs(state.targetModel)}`;
    case "denied-while-serving":
      return `denied by ${state.by}, being withdrawn: ${state.note}`;
    case "rejected":
      return `approved by ${state.approvedBy}, but not published: ${state.because}`;
  }
}

/** After "serves"; null: the endpoint has no other model. */
export const servedAs = (targetModel: string | null): string =>
  targetModel === null ? "on the customer's own endpoint" : `as ${targetModel}`;

const isText = (value: unknown): boolean => typeof value === "string" && value.trim() !== "";
