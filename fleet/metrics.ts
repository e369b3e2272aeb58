/** The figures a training script prints, and the evaluation that is read from them. */
import { MetricsError } from "./errors.js";
import { LIMITS } from "./limits.js";

const REQUIRED = [
  "validation:rmse",
  "test:rmse",
  "test:mae",
  "test:stdev_error",
  "baseline:rmse",
  "baseline:mae",
  "train:rows",
  "validation:rows",
  "test:rows",
] as const;

/** Printed only when the job had a champion channel. */
const CHAMPION = ["champion:rmse", "champion:mae", "champion:stdev_error"] as const;

/** The ends of the interval of the improvement over the champion, on enough test rows to tell. */
const IMPROVEMENT = ["improvement:low", "improvement:high"] as const;

/** By position in the gate's segments; a column's name may have signs that a metric's may not. */
const SEGMENTS = Array.from(
  { length: LIMITS.gateSegments },
  (_none, index) => `segment:${index + 1}:drop`,
);

const VERIFICATION = Array.from(
  { length: LIMITS.verificationRows },
  (_none, index) => `verification:${index + 1}`,
);

/** AlgorithmSpecification.MetricDefinitions. The script prints one `name=value;` a line. */
export const METRIC_DEFINITIONS: readonly { readonly Name: string; readonly Regex: string }[] = [
  ...REQUIRED,
  ...CHAMPION,
  ...IMPROVEMENT,
  ...SEGMENTS,
  ...VERIFICATION,
].map((name) => ({ Name: name, Regex: `${escapeRegex(name)}=([-+0-9.eE]+);` }));

export interface ErrorFigures {
  readonly rmse: number;
  readonly mae: number;
}

export interface ModelFigures extends ErrorFigures {
  /** Standard deviation of the signed errors. */
  readonly stdevError: number;
}

/** Share of the champion's error that the challenger removes: 0.02 = 2 %, below 0 it is worse. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** One challenger, judged on the held-out rows of its own cycle. */
export interface Evaluation {
  readonly challenger: ModelFigures;
  /** The champion on the same rows; null when there was none. */
  readonly champion: ModelFigures | null;
  /** Predict-the-mean on the same rows. */
  readonly baseline: ErrorFigures;
  /** Of the gate's metric and confidence; null without champion, or with too few rows to tell. */
  readonly improvement: Interval | null;
  /** By declared segment, the largest share by which the error grew for one of its values; null: none was judged. */
  readonly segmentDrops: readonly (number | null)[];
  /** What was optimised, on the validation rows. */
  readonly objective: { readonly metric: string; readonly value: number };
  readonly rows: { readonly train: number; readonly validation: number; readonly test: number };
  /** Offline predictions of the first held-out rows: at most LIMITS.verificationRows. */
  readonly predictions: readonly number[];
}

/** As DescribeTrainingJob answers. */
export interface FinalMetric {
  readonly MetricName?: string | undefined;
  readonly Value?: number | undefined;
}

/** What a single training job is judged by while it trains; a search names its own. */
const USUAL_OBJECTIVE = "validation:rmse";

/** Throws MetricsError, naming the metric, when a required one is missing or not finite. */
export function readEvaluation(
  finalMetricDataList: readonly FinalMetric[],
  objective: string = USUAL_OBJECTIVE,
): Evaluation {
  const values = new Map(finalMetricDataList.map((metric) => [metric.MetricName, metric.Value]));
  const read = (name: string): number => {
    const value = values.get(name);
    if (value === undefined) throw missing(name);
    if (!Number.isFinite(value)) throw notFinite(name, value);
    return value;
  };
  const champion = values.has(CHAMPION[0]) ? figures(read, "champion") : null;
  const compared = (name: string): boolean => champion !== null && values.has(name);
  return {
    challenger: figures(read, "test"),
    champion,
    baseline: { rmse: read("baseline:rmse"), mae: read("baseline:mae") },
    improvement: compared(IMPROVEMENT[0])
      ? { low: read(IMPROVEMENT[0]), high: read(IMPROVEMENT[1]) }
      : null,
    segmentDrops: SEGMENTS.map((name) => (compared(name) ? read(name) : null)),
    objective: { metric: objective, value: read(objective) },
    rows: {
      train: read("train:rows"),
      validation: read("validation:rows"),
      test: read("test:rows"),
    },
    predictions: VERIFICATION.filter((name) => values.has(name)).map(read),
  };
}

function figures(read: (name: string) => number, of: "test" | "champion"): ModelFigures {
  return {
    rmse: read(`${of}:rmse`),
    mae: read(`${of}:mae`),
    stdevError: read(`${of}:stdev_error`),
  };
}

const missing = (name: string): MetricsError =>
  new MetricsError(
    `the training job ended without the metric ${name}`,
    `print "${name}=<number>;" on a line of its own in the training script`,
  );

const notFinite = (name: string, value: number): MetricsError =>
  new MetricsError(
    `the training job reported ${name}=${value}`,
    "a model with such a figure cannot be judged: look for empty or constant columns in its data",
  );

function escapeRegex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
