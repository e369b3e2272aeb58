/** A challenger's figures as a model quality report: what the registry links as a version's ModelMetrics. */
import type { Challenger, Figures } from "./model-package-request.js";

export type JudgedModel = Pick<
  Challenger,
  "metrics" | "championMetrics" | "championVersion" | "baselineMetrics" | "improvement" | "segments"
> &
  Pick<Challenger, "rows" | "objective" | "testing" | "decision" | "reasons">;

/**
 * `regression_metrics` as SageMaker's own reports have it, the rest beside it in the same form:
 * https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html
 */
export const modelQuality = (o: JudgedModel): object => ({
  regression_metrics: values(o.metrics),
  champion_regression_metrics: o.championMetrics === null ? null : values(o.championMetrics),
  baseline_regression_metrics: values(o.baselineMetrics),
  champion_version: o.championVersion,
  improvement: o.improvement,
  segments: o.segments,
  rows: o.rows,
  objective: o.objective,
  testing: o.testing,
  decision: o.decision,
  reasons: o.reasons,
});

const values = (figures: Figures): Record<string, { readonly value: number }> =>
  Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, { value }]));
