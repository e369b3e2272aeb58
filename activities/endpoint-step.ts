/** Decides what an endpoint needs next, from what SageMaker says about it. */

/** Of a DescribeEndpoint answer. */
export interface EndpointView {
  readonly EndpointStatus?: string | undefined;
  readonly EndpointConfigName?: string | undefined;
  readonly FailureReason?: string | undefined;
}

export type EndpointStep =
  | { readonly kind: "create" }
  | { readonly kind: "update" }
  | { readonly kind: "wait"; readonly status: string }
  | { readonly kind: "done"; readonly live: string }
  /** The update has failed, and the endpoint serves as before: SageMaker calls that InService. */
  | { readonly kind: "rolled-back"; readonly reason: string }
  /** Only its deletion is accepted now. */
  | { readonly kind: "stuck"; readonly status: string; readonly reason: string };

export interface EndpointWish {
  /** Whether an endpoint that is on the config of this name is as wanted. */
  readonly accepts: (endpointConfigName: string) => boolean;
  /** How often the endpoint was seen since SageMaker accepted our update to that config; null before. */
  readonly seenSinceUpdate: number | null;
}

/** SageMaker's reads lag behind its writes: so many answers may still be from before the update. */
const STALE_ANSWERS = 2;

/** `undefined`: there is no such endpoint. A status that is not known here passes, as new ones appear unannounced. */
export function nextStep(endpoint: EndpointView | undefined, wish: EndpointWish): EndpointStep {
  if (endpoint === undefined) return { kind: "create" };
  const { EndpointStatus: status = "unknown", FailureReason: reason = "" } = endpoint;
  if (status === "Failed" || status === "UpdateRollbackFailed" || status === "OutOfService")
    return { kind: "stuck", status, reason };
  if (status !== "InService") return { kind: "wait", status };
  const { EndpointConfigName: live = "" } = endpoint;
  if (wish.accepts(live)) return { kind: "done", live };
  if (wish.seenSinceUpdate === null) return { kind: "update" };
  // A reason appears with the rollback and vanishes with the next update; at times there is none.
  if (reason === "" && wish.seenSinceUpdate <= STALE_ANSWERS) return { kind: "wait", status };
  return { kind: "rolled-back", reason };
}
