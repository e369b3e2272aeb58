/** Where a release's messages arrive: each moves its state on, or is refused, and the page in the web UI tells. */
import { ApplicationFailure, log, setCurrentDetails, setHandler } from "@temporalio/workflow";
import { LIMITS } from "../fleet/limits.js";
import {
  describeRelease,
  isEcho,
  nextState,
  openRelease,
  refusalOf,
  type ReleaseEvent,
  type ReleaseState,
} from "../fleet/release.js";
import { approve, decide, type Decision, deny, superseded } from "./messages.js";

/** What is decided, and what who decides is shown. */
export interface Docket {
  readonly version: number;
  readonly approvedBy?: string | undefined;
  /** `Version 7 of xna`. */
  readonly subject: string;
  /** The gate's reasons. */
  readonly evaluation: string;
  /** On the page for as long as it waits. */
  readonly howToDecide: string;
  /** Customers can be left out of it: it is a cohort. */
  readonly isCohort: boolean;
}

/** What the registry and the ledger must hold: who said what, and when. */
export interface Verdict {
  readonly decision: Decision;
  readonly state: "approved" | "denied" | "superseded" | "expired";
  /** ISO time. */
  readonly at: string;
}

export interface Desk {
  readonly docket: Docket;
  state: ReleaseState;
  /** In the order they came. */
  readonly unrecorded: Verdict[];
  /** Told at the foot of the page. */
  readonly remarks: string[];
  /** Through several stages: how far it has come. */
  way: string;
  /** The message that the time was up: on its way when the rest is done. Never fails. */
  farewell: Promise<void>;
}

/** Handlers are set before the first wait: nothing that comes is lost, whenever it comes. */
export function openDesk(docket: Docket): Desk {
  const desk: Desk = {
    docket,
    state: openRelease(docket.approvedBy),
    unrecorded: [],
    remarks: [],
    way: "",
    farewell: Promise.resolve(),
  };
  setHandler(
    decide,
    (decision) => {
      take(desk, { kind: "decided", decision });
      return decision;
    },
    {
      // Synchronous, or a refusal would hang the caller. A refused update leaves no trace in the history.
      validator: (decision: Decision) => {
        const refused = refusal(desk, decision);
        if (refused !== null)
          throw ApplicationFailure.create({
            type: "DecisionRefused",
            message: refused,
            nonRetryable: true,
            details: [{ decided: desk.state.kind !== "awaiting-approval" }],
          });
      },
    },
  );
  setHandler(approve, (said) => signalled(desk, { ...said, verdict: "approve" }));
  setHandler(deny, (said) => signalled(desk, { ...said, verdict: "deny" }));
  setHandler(superseded, ({ version }) => {
    if (version > docket.version) take(desk, { kind: "superseded", version });
  });
  show(desk);
  return desk;
}

/** Why the decision cannot be taken; null when it can. */
function refusal({ docket, state }: Desk, decision: Partial<Decision>): string | null {
  const refused = refusalOf(state, decision);
  if (refused !== null || decision.except === undefined) return refused;
  if (!docket.isCohort) return "`except` leaves customers out of a cohort, and this is one model";
  if (decision.verdict === "deny")
    return "a denial is about every member: `except` is for approvals";
  if (decision.except.length > LIMITS.cohortExceptions)
    return `at most ${LIMITS.cohortExceptions} customers are left out by name`;
  return null;
}

/** A signal cannot be answered, so the page that it was sent from tells. */
function signalled(desk: Desk, said: Partial<Decision>): void {
  const refused = refusal(desk, said);
  if (refused === null) return take(desk, { kind: "decided", decision: complete(said) });
  // What the registry says after us is what we have told it.
  if (said.verdict !== undefined && isFromRegistry(said) && isEcho(desk.state, said.verdict))
    return;
  log.warn("decision refused", { refused });
  remark(desk, `The last signal was refused: ${refused}.`);
}

const isFromRegistry = ({ by }: Partial<Decision>): boolean => /^registry(:|$)/.test(by ?? "");

/** After `refusalOf` found nothing missing. */
const complete = ({ verdict, by, note, except }: Partial<Decision>): Decision => ({
  verdict: verdict ?? "deny",
  by: by ?? "",
  ...(note === undefined ? {} : { note }),
  ...(except === undefined ? {} : { except }),
});

/** What comes too late, or twice, changes nothing. */
export function take(desk: Desk, event: ReleaseEvent): void {
  const next = nextState(desk.state, event);
  if (next === desk.state) return;
  desk.state = next;
  const verdict = verdictOf(event);
  if (verdict !== null) desk.unrecorded.push({ ...verdict, at: new Date().toISOString() });
  show(desk);
}

function verdictOf(event: ReleaseEvent): Omit<Verdict, "at"> | null {
  switch (event.kind) {
    case "decided":
      return {
        decision: event.decision,
        state: event.decision.verdict === "approve" ? "approved" : "denied",
      };
    case "superseded":
      return ended("superseded", `version ${event.version} took its place before anybody decided`);
    case "expired":
      return ended("expired", `nobody decided within ${event.after}`);
    case "overtaken":
    case "served":
    case "not-served":
      return null;
  }
}

const ended = (state: "superseded" | "expired", note: string): Omit<Verdict, "at"> => ({
  decision: { verdict: "deny", by: "modelfleet", note },
  state,
});

export function remark(desk: Desk, text: string): void {
  desk.remarks.push(text);
  // The last ones: whoever signals nonsense in a loop must not make the page grow.
  if (desk.remarks.length > 5) desk.remarks.shift();
  show(desk);
}

/** Told above the remarks. */
export function tellWay(desk: Desk, way: string): void {
  if (desk.way === way) return;
  desk.way = way;
  show(desk);
}

function show({ docket, state, remarks, way }: Desk): void {
  const howTo = state.kind === "awaiting-approval" ? docket.howToDecide : "";
  const title = `${docket.subject} **${describeRelease(state)}**`;
  const parts = [title, docket.evaluation, way, howTo, ...remarks];
  setCurrentDetails(parts.filter((part) => part !== "").join("\n\n"));
}
