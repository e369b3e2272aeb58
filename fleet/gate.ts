/** Decides whether a challenger model replaces a customer's champion. */
import type { Evaluation } from "./metrics.js";
import type { GatePolicy } from "./spec.schema.js";

export interface GateDecision {
  /** `ask`: good enough to register, and a person decides. */
  readonly decision: "approve" | "ask" | "keep-champion";
  /** In words and figures, for the person who reads it in the registry, the CLI or the web UI. */
  readonly because: string;
}

/** Both models and predict-the-mean were scored on the same held-out rows. */
export function decideGate(evaluation: Evaluation, policy: GatePolicy): GateDecision {
  const { metric, better, autoApprove } = policy;
  const challenger = evaluation.challenger[metric];
  const overChampion =
    evaluation.champion === null
      ? null
      : { gain: gain(challenger, evaluation.champion[metric]), error: evaluation.champion[metric] };
  const versusChampion =
    overChampion === null
      ? `first model, ${metric} ${figure(challenger)}`
      : `${metric} ${figure(challenger)} is ${percent(overChampion.gain)} the champion's ` +
        `${figure(overChampion.error)} (policy asks ${asked(better)})`;
  if (overChampion !== null && overChampion.gain < better)
    return { decision: "keep-champion", because: versusChampion };
  if (autoApprove === false)
    return {
      decision: "ask",
      because: `${versusChampion}; the policy leaves the decision to a person`,
    };

  const baseline = evaluation.baseline[metric];
  const overBaseline = gain(challenger, baseline);
  const versusBaseline =
    `${percent(overBaseline)} predict-the-mean's ${figure(baseline)} ` +
    `(policy asks ${asked(autoApprove.betterThanBaseline)})`;
  return {
    decision: overBaseline >= autoApprove.betterThanBaseline ? "approve" : "ask",
    because: `${versusChampion}; ${versusBaseline}`,
  };
}

/** Share of the reference's error that is removed; a reference without error can only be equalled. */
function gain(error: number, reference: number): number {
  if (reference === 0) return error === 0 ? 0 : -Infinity;
  return 1 - error / reference;
}

const figure = (error: number): string => String(Number(error.toPrecision(4)));

function percent(share: number): string {
  const rounded = Number((Math.abs(share) * 100).toFixed(1));
  if (!Number.isFinite(share)) return "infinitely above";
  return rounded === 0 ? "level with" : `${rounded} % ${share > 0 ? "below" : "above"}`;
}

const asked = (share: number): string => `${Number((share * 100).toFixed(1))} %`;
