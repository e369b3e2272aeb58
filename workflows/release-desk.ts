/** Where a release's messages arrive: each moves its state on, or is refused, and the page in the web UI tells. */
import { ApplicationFailure, log, setCurrentDetails, setHandler } from "@temporalio/workflow";
import {
  describeRelease,
  isEcho,
  nextState,
  openRelease,
  refusalOf,
  type ReleaseEvent,
  type ReleaseState,
} from "../fleet/release.js";
import {
  approve,
  decide,
  type Decision,
  deny,
  published,
  type ReleaseModelInput,
  superseded,
} from "./messages.js";

/** What the registry and the ledger must hold: who said what, and when. */
export interface Verdict {
  readonly decision: Decision;
  readonly state: "approved" | "denied" | "superseded" | "expired";
  /** ISO time. */
  readonly at: string;
}

export interface Desk {
  state: ReleaseState;
  /** In the order they came. */
  readonly unrecorded: Verdict[];
  /** Told at the foot of the page. */
  readonly remarks: string[];
  /** The message that the time was up: on its way when the rest is done. Never fails. */
  farewell: Promise<void>;
}

/** Handlers are set before the first wait: nothing that comes is lost, whenever it comes. */
export function openDesk(input: ReleaseModelInput): Desk {
  const desk: Desk = {
    state: openRelease(input.approvedBy),
    unrecorded: [],
    remarks: [],
    farewell: Promise.resolve(),
  };
  setHandler(
    decide,
    (decision) => {
      take(input, desk, { kind: "decided", decision });
      return decision;
    },
    {
      // Synchronous, or a refusal would hang the caller. A refused update leaves no trace in the history.
      validator: (decision: Decision) => {
        const refused = refusalOf(desk.state, decision);
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
  setHandler(approve, (said) => signalled(input, desk, { ...said, verdict: "approve" }));
  setHandler(deny, (said) => signalled(input, desk, { ...said, verdict: "deny" }));
  setHandler(superseded, ({ version }) => {
    if (version > input.version) take(input, desk, { kind: "superseded", version });
  });
  setHandler(published, (outcome) => {
    if (outcome.version !== input.version) return;
    take(
      input,
      desk,
      outcome.kind === "serving"
        ? { kind: "served", targetModel: outcome.targetModel }
        : { kind: "not-served", because: outcome.because },
    );
  });
  show(input, desk);
  return desk;
}

/** A signal cannot be answered, so the page that it was sent from tells. */
function signalled(input: ReleaseModelInput, desk: Desk, said: Partial<Decision>): void {
  const refused = refusalOf(desk.state, said);
  if (refused === null) return take(input, desk, { kind: "decided", decision: complete(said) });
  // What the registry says after us is what we have told it.
  if (said.verdict !== undefined && isFromRegistry(said) && isEcho(desk.state, said.verdict))
    return;
  log.warn("decision refused", { refused });
  remark(input, desk, `The last signal was refused: ${refused}.`);
}

const isFromRegistry = ({ by }: Partial<Decision>): boolean => /^registry(:|$)/.test(by ?? "");

/** After `refusalOf` found nothing missing. */
const complete = ({ verdict, by, note }: Partial<Decision>): Decision => ({
  verdict: verdict ?? "deny",
  by: by ?? "",
  ...(note === undefined ? {} : { note }),
});

/** What comes too late, or twice, changes nothing. */
export function take(input: ReleaseModelInput, desk: Desk, event: ReleaseEvent): void {
  const next = nextState(desk.state, event);
  if (next === desk.state) return;
  desk.state = next;
  const verdict = verdictOf(event);
  if (verdict !== null) desk.unrecorded.push({ ...verdict, at: new Date().toISOString() });
  show(input, desk);
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
    case "served":
    case "not-served":
      return null;
  }
}

const ended = (state: "superseded" | "expired", note: string): Omit<Verdict, "at"> => ({
  decision: { verdict: "deny", by: "modelfleet", note },
  state,
});

export function remark(input: ReleaseModelInput, desk: Desk, text: string): void {
  desk.remarks.push(text);
  // The last ones: whoever signals nonsense in a loop must not make the page grow.
  if (desk.remarks.length > 5) desk.remarks.shift();
  show(input, desk);
}

function show(input: ReleaseModelInput, { state, remarks }: Desk): void {
  const howTo =
    state.kind === "awaiting-approval"
      ? `Decide with \`modelfleet approve ${input.fleet} ${input.customerKey}\` or \`modelfleet deny …\`, ` +
        'or send the signal `approve` or `deny` with `{"by": "your name", "note": "why"}`.'
      : "";
  const title = `Version ${input.version} of ${input.customerKey} **${describeRelease(state)}**`;
  const parts = [title, input.evaluation, howTo, ...remarks];
  setCurrentDetails(parts.filter((part) => part !== "").join("\n\n"));
}
