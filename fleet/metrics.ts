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

const VERIFICATION = Array.from(
  { length: LIMITS.verificationRows },
  (_none, index) => `verification:${index + 1}`,
);

/** AlgorithmSpecification.MetricDefinitions. The script prints one `name=value;` a line. */
export const METRIC_DEFINITIONS: readonly { readonly Name: string; readonly Regex: string }[] = [
  ...REQUIRED,
  ...CHAMPION,
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

/** One challenger, judged on the held-out rows of its own cycle. */
export interface Evaluation {
  readonly challenger: ModelFigures;
  /** The champion on the same rows; null when there was none. */
  readonly champion: ModelFigures | null;
  /** Predict-the-mean on the same rows. */
  readonly baseline: ErrorFigures;
  readonly validationRmse: number;
  readonly rows: { readonly train: number; readonly validation: number; readonly test: number };
  /** Offline predictions of the first held-out rows: at most LIMITS.verificationRows. */
  readonly predictions: readonly number[];
}

/** As DescribeTrainingJob answers. */
export interface FinalMetric {
  readonly MetricName?: string | undefined;
  readonly Value?: number | undefined;
}

/** Throws MetricsError, naming the metric, when a required one is missing or not finite. */
export function readEvaluation(finalMetricDataList: readonly FinalMetric[]): Evaluation {
  const values = new Map(finalMetricDataList.map((metric) => [metric.MetricName, metric.Value]));
  const read = (name: string): number => {
    const value = values.get(name);
    if (value === undefined) throw missing(name);
    if (!Number.isFinite(value)) throw notFinite(name, value);
    return value;
  };
  return {
    challenger: figures(read, "test"),
    champion: values.has(CHAMPION[0]) ? figures(read, "champion") : null,
    baseline: { rmse: read("baseline:rmse"), mae: read("baseline:mae") },
    validationRmse: read("validation:rmse"),
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
