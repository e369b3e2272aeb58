/** Decides many models, a few at a time, so that an interruption at any moment leaves only what still waits. */
import type { Decision } from "../workflows/messages.js";
import type { Candidate } from "./bulk-candidates.js";
import type { Connections } from "./connections.js";
import { AlreadyDecided, decideModel, Unanswered } from "./decisions.js";
import { messageOf } from "./errors.js";

export type BulkResult =
  | { readonly kind: "decided"; readonly candidate: Candidate }
  /** By somebody else, or by this command when it ran before. */
  | { readonly kind: "already"; readonly candidate: Candidate; readonly because: string }
  | { readonly kind: "failed"; readonly candidate: Candidate; readonly because: string };

export interface BulkOptions {
  readonly fleet: string;
  readonly decision: Decision;
  /** Aborted, no further ones are begun; those under way come to their end. */
  readonly signal: AbortSignal;
  readonly onResult: (result: BulkResult) => void;
}

/** Temporal's server and the workers bear more; from here on a decision takes as long as it is waited for. */
const AT_A_TIME = 32;
/** A worker that was killed is replaced within this time; whoever runs none is told. */
const PATIENCE_MS = 60_000;

/** Every one of `chosen` gets a result, unless the signal was aborted or nobody answers any more: then that is thrown. */
export async function decideInBulk(
  connections: Connections,
  chosen: readonly Candidate[],
  { fleet, decision, signal, onResult }: BulkOptions,
): Promise<void> {
  const queue = chosen.values();
  let unanswered: Unanswered | undefined;
  const lane = async (): Promise<void> => {
    for (const candidate of queue) {
      if (signal.aborted || unanswered !== undefined) return;
      try {
        onResult(await decideOne(connections, candidate, { fleet, decision }));
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        unanswered ??= error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, chosen.length) }, lane));
  if (unanswered !== undefined) throw unanswered;
}

async function decideOne(
  connections: Connections,
  candidate: Candidate,
  { fleet, decision }: { readonly fleet: string; readonly decision: Decision },
): Promise<BulkResult> {
  try {
    const options = { patienceMs: PATIENCE_MS, undecidedOnly: true };
    await decideModel(connections, { ...candidate, fleet }, decision, options);
    return { kind: "decided", candidate };
  } catch (error) {
    if (error instanceof Unanswered) throw error;
    const kind = error instanceof AlreadyDecided ? "already" : "failed";
    return { kind, candidate, because: messageOf(error) };
  }
}
