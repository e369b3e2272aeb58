/** What a training script is told about the comparison with the champion: the schema channel's evaluation.json. */
import type { GatePolicy } from "./gate.schema.js";

/**
 * In a channel, not in hyperparameters: SageMaker refuses a warm start unless the set of hyperparameters' names is
 * that of the parent tuning job, and counts changed values against a limit, so what a policy says must not be there.
 */
export interface ComparisonRequest {
  readonly metric: GatePolicy["metric"];
  /** Of the interval of the improvement. */
  readonly confidence: number;
  /** Features whose values are looked at one by one, in the order of the policy. */
  readonly segments: readonly string[];
}

/** A policy that judges by a bare threshold shows people this interval all the same. */
const USUAL_CONFIDENCE = 0.95;

export const comparisonRequest = ({
  metric,
  judgement,
  segments,
}: GatePolicy): ComparisonRequest => ({
  metric,
  confidence: judgement === "threshold" ? USUAL_CONFIDENCE : judgement.confidence,
  segments: segments.map(({ column }) => column),
});
