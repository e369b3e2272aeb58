/** Decides whether a challenger model replaces a customer's champion. */
import type { GatePolicy } from "./gate.schema.js";
import type { Evaluation } from "./metrics.js";

/** `ask`: good enough to register, and a person decides. `keep-champion`: rejected; what serves, if anything, stays. */
export type GateVerdict = "approve" | "ask" | "keep-champion";

export interface GateDecision {
  readonly decision: GateVerdict;
  /** One for each rule that had a say, in words and figures; the comparison with the champion first. */
  readonly reasons: readonly string[];
  /** The reasons as one sentence, for the registry, the CLI and the web UI. */
  readonly because: string;
}

/** What one rule of the policy makes of the evaluation. */
interface Finding {
  readonly decision: GateVerdict;
  readonly reason: string;
}

/**
 * All models were scored on the same held-out rows. Every rule gives a verdict of its own and the most cautious one
 * holds, so a better challenger never fares worse.
 */
export function decideGate(evaluation: Evaluation, policy: GatePolicy): GateDecision {
  const comparison = versusChampion(evaluation, policy);
  const findings = [
    comparison,
    ...farBelowBaseline(evaluation, policy),
    ...noWorseThanBaseline(evaluation, policy),
    ...withinSegments(evaluation, policy),
    ...withinBounds(evaluation, policy),
    ...enoughTestRows(evaluation, policy),
    ...leftToAPerson(policy),
  ];
  const decision = mostCautious(findings);
  // Who is rejected need not read what would have spoken for it.
  const told = findings.filter(
    (found) => decision !== "keep-champion" || found === comparison || found.decision === decision,
  );
  const reasons = told.map(({ reason }) => reason);
  return { decision, reasons, because: reasons.join("; ") };
}

function mostCautious(findings: readonly Finding[]): GateVerdict {
  const says = (verdict: GateVerdict) => findings.some(({ decision }) => decision === verdict);
  if (says("keep-champion")) return "keep-champion";
  return says("ask") ? "ask" : "approve";
}

/** Share of the champion's error that the challenger removes; null without champion. */
export function improvementOver(
  evaluation: Evaluation,
  metric: GatePolicy["metric"],
): number | null {
  const { challenger, champion } = evaluation;
  return champion === null ? null : gain(challenger[metric], champion[metric]);
}

function versusChampion(evaluation: Evaluation, policy: GatePolicy): Finding {
  const { metric, better, judgement, firstModel } = policy;
  const { challenger, champion } = evaluation;
  if (champion === null) {
    const first = `first model, ${metric} ${figure(challenger[metric])}`;
    return firstModel === "ask"
      ? { decision: "ask", reason: `${first}: the policy leaves first models to a person` }
      : { decision: "approve", reason: first };
  }
  const gained = gain(challenger[metric], champion[metric]);
  const measured =
    `${metric} ${figure(challenger[metric])} is ${percent(gained)} the champion's ` +
    figure(champion[metric]);
  if (judgement !== "threshold") return judged(measured, evaluation, { ...policy, judgement });
  return {
    decision: gained >= better ? "approve" : "keep-champion",
    reason: `${measured} (policy asks ${asked(better)})`,
  };
}

type Judgement = Exclude<GatePolicy["judgement"], "threshold">;

/**
 * The whole interval has to lie above the bar: what is not shown counts as not so, and the champion stays. With fewer
 * rows than the policy asks hardly anything can be shown, so there a person is asked unless the challenger is worse.
 */
function judged(
  measured: string,
  { improvement, rows }: Evaluation,
  { judgement, minimumTestRows }: { judgement: Judgement; minimumTestRows: number },
): Finding {
  if (improvement === null)
    return {
      decision: "ask",
      reason:
        `${measured}; how sure that is cannot be told: the training script printed no improvement:low, ` +
        "for want of test rows or because it does not compute it",
    };
  const { kind, margin, confidence } = judgement;
  const { low, high } = improvement;
  const [shown, refuted, bar] =
    kind === "superior"
      ? [low > margin, high <= margin, `better by more than ${asked(margin)}`]
      : [low >= -margin, high < -margin, `not worse by more than ${asked(margin)}`];
  const open = rows.test < minimumTestRows && !refuted;
  return {
    decision: shown ? "approve" : open ? "ask" : "keep-champion",
    reason:
      `${measured}, between ${change(low)} and ${change(high)} with ${asked(confidence)} confidence ` +
      `(policy asks ${bar}: ${shown ? "shown" : "not shown"})`,
  };
}

/** What a policy that approves by itself asks beyond beating the champion; a person decides about the others. */
function farBelowBaseline(
  { challenger, baseline }: Evaluation,
  { metric, autoApprove }: GatePolicy,
): Finding[] {
  if (autoApprove === false) return [];
  const over = gain(challenger[metric], baseline[metric]);
  return [
    {
      decision: over >= autoApprove.betterThanBaseline ? "approve" : "ask",
      reason:
        `${percent(over)} predict-the-mean's ${figure(baseline[metric])} ` +
        `(policy asks ${asked(autoApprove.betterThanBaseline)})`,
    },
  ];
}

function noWorseThanBaseline({ challenger, baseline }: Evaluation, policy: GatePolicy): Finding[] {
  const { metric } = policy;
  if (!policy.noWorseThanBaseline) return [];
  const over = gain(challenger[metric], baseline[metric]);
  return [
    {
      decision: over >= 0 ? "approve" : "keep-champion",
      reason:
        `${metric} ${figure(challenger[metric])} is ${percent(over)} predict-the-mean's ` +
        `${figure(baseline[metric])} (policy asks no worse)`,
    },
  ];
}

function withinSegments(
  { champion, segmentDrops }: Evaluation,
  { metric, segments }: GatePolicy,
): Finding[] {
  if (champion === null) return [];
  return segments.map(({ column, maximumDrop }, index) => {
    const drop = segmentDrops[index] ?? null;
    if (drop === null)
      return {
        decision: "ask",
        reason:
          `by ${column} nothing can be said: the training script printed no segment:${index + 1}:drop, ` +
          "for want of test rows or because it does not compute it",
      };
    return {
      decision: drop <= maximumDrop ? "approve" : "keep-champion",
      reason:
        `in the worst ${column}, ${metric} is ${percent(-drop)} the champion's ` +
        `(policy allows ${asked(maximumDrop)} above)`,
    };
  });
}

function withinBounds({ challenger }: Evaluation, { bounds }: GatePolicy): Finding[] {
  const { rmse, mae, stdevError } = challenger;
  const figures = { rmse, mae, stdev_error: stdevError };
  return (["rmse", "mae", "stdev_error"] as const).flatMap((metric): Finding[] => {
    const max = bounds[metric]?.max;
    if (max === undefined) return [];
    const error = figures[metric];
    const [decision, side]: [GateVerdict, string] =
      error <= max ? ["approve", "within"] : ["keep-champion", "above"];
    const reason = `${metric} ${figure(error)} is ${side} the policy's maximum of ${figure(max)}`;
    return [{ decision, reason }];
  });
}

/**
 * Few rows say little either way. A person is asked, because a rejection would leave a small customer's champion in
 * place for ever without anybody noticing.
 */
function enoughTestRows({ rows }: Evaluation, { minimumTestRows }: GatePolicy): Finding[] {
  if (minimumTestRows === 1) return [];
  return [
    {
      decision: rows.test >= minimumTestRows ? "approve" : "ask",
      reason: `${rows.test} test ${rows.test === 1 ? "row" : "rows"} (policy asks ${minimumTestRows})`,
    },
  ];
}

function leftToAPerson({ autoApprove }: GatePolicy): Finding[] {
  if (autoApprove !== false) return [];
  return [{ decision: "ask", reason: "the policy leaves the decision to a person" }];
}

/** Share of the reference's error that is removed; a reference without error can only be equalled. */
function gain(error: number, reference: number): number {
  if (reference === 0) return error === 0 ? 0 : -Infinity;
  return 1 - error / reference;
}

const figure = (error: number): string => String(Number(error.toPrecision(4)));

/** How far an error is from its reference: "3.1 % below" when that share was removed, "above" when it grew. */
function percent(share: number): string {
  return Number((Math.abs(share) * 100).toFixed(1)) === 0 ? "level with" : change(share);
}

function change(share: number): string {
  if (!Number.isFinite(share * 100)) return "infinitely above";
  const rounded = Number((Math.abs(share) * 100).toFixed(1));
  return rounded === 0 ? "0 %" : `${rounded} % ${share > 0 ? "below" : "above"}`;
}

const asked = (share: number): string => `${Number((share * 100).toFixed(1))} %`;
