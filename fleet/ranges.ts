/** The ranges that a tuning job searches: how they are written, XGBoost's own, and what is wrong with one. */
import { LIMITS } from "./limits.js";

/** How values are spread over a range; `Auto` leaves it to SageMaker. */
export const SCALINGS = ["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"] as const;
export type Scaling = (typeof SCALINGS)[number];

export interface NumberRange {
  readonly type: "integer" | "continuous";
  /** Both ends belong to the range. */
  readonly min: number;
  readonly max: number;
  readonly scaling: Scaling;
}

export interface CategoricalRange {
  readonly type: "categorical";
  readonly values: readonly string[];
}

export type ParameterRange = NumberRange | CategoricalRange;

/** By the hyperparameter's name. */
export type ParameterRanges = Readonly<Record<string, ParameterRange>>;

export const integer = (min: number, max: number, scaling: Scaling = "Auto"): NumberRange => ({
  type: "integer",
  min,
  max,
  scaling,
});

export const continuous = (min: number, max: number, scaling: Scaling = "Auto"): NumberRange => ({
  type: "continuous",
  min,
  max,
  scaling,
});

export const categorical = (...values: readonly string[]): CategoricalRange => ({
  type: "categorical",
  values,
});

/** XGBoost's eleven, as widely as SageMaker's guide suggests to search them at first. */
export const xgboostRanges: ParameterRanges = {
  eta: continuous(0.1, 0.5, "Logarithmic"),
  max_depth: integer(0, 10), // 0: no limit.
  num_round: integer(1, 4000),
  subsample: continuous(0.5, 1, "Logarithmic"),
  colsample_bylevel: continuous(0.1, 1, "Logarithmic"),
  colsample_bytree: continuous(0.5, 1, "Logarithmic"),
  alpha: continuous(0, 1000),
  lambda: continuous(0, 100),
  max_delta_step: integer(0, 10),
  min_child_weight: continuous(0, 10),
  gamma: continuous(0, 5),
};

/** What is wrong with a range, as a sentence; null when SageMaker takes it. */
export function rangeProblem(name: string, range: ParameterRange): string | null {
  if (/^(sagemaker_|_tuning_objective_metric$)/.test(name))
    return "is a name that SageMaker keeps for itself";
  if (range.type === "categorical") return valuesProblem(range.values);
  const { type, min, max, scaling } = range;
  if (!Number.isFinite(min) || !Number.isFinite(max)) return "needs finite ends";
  if (min >= max) return `min ${min} must be below max ${max}`;
  if (type === "integer" && !(Number.isInteger(min) && Number.isInteger(max)))
    return `an integer range needs whole ends, not ${min} and ${max}: write continuous(${min}, ${max})`;
  if (scaling === "Logarithmic" && min <= 0)
    return `Logarithmic scaling needs a min above 0, not ${min}: raise min, or scale it "Linear"`;
  if (scaling !== "ReverseLogarithmic") return null;
  if (type === "integer")
    return 'ReverseLogarithmic scaling is for continuous ranges only: scale it "Linear"';
  return min < 0 || max >= 1
    ? `ReverseLogarithmic scaling needs 0 ≤ min and max < 1, not ${min} to ${max}`
    : null;
}

function valuesProblem(values: readonly string[]): string | null {
  const { tuningCategoricalValues, tuningValueLength } = LIMITS;
  if (values.length === 0) return "needs at least one value";
  if (values.length > tuningCategoricalValues)
    return `has ${values.length} values, SageMaker takes at most ${tuningCategoricalValues}`;
  if (new Set(values).size < values.length) return "names a value twice";
  const long = values.find((value) => value.length > tuningValueLength);
  return long === undefined
    ? null
    : `has a value of ${long.length} characters, SageMaker takes at most ${tuningValueLength}`;
}

interface Taken {
  readonly min: number;
  readonly max: number;
  /** `min` itself is not taken. */
  readonly above?: true;
  readonly whole?: true;
}

const atLeast = (min: number): Taken => ({ min, max: Infinity });
const share: Taken = { min: 0, max: 1, above: true };

/** https://xgboost.readthedocs.io/en/stable/parameter.html, and the rounds of its training API. */
const XGBOOST_TAKES: Readonly<Record<string, Taken>> = {
  eta: { min: 0, max: 1 },
  max_depth: { ...atLeast(0), whole: true },
  num_round: { ...atLeast(1), whole: true },
  early_stopping_rounds: { ...atLeast(0), whole: true },
  max_bin: { ...atLeast(2), whole: true },
  subsample: share,
  colsample_bylevel: share,
  colsample_bytree: share,
  colsample_bynode: share,
  alpha: atLeast(0),
  lambda: atLeast(0),
  max_delta_step: atLeast(0),
  min_child_weight: atLeast(0),
  gamma: atLeast(0),
};

/** What XGBoost would refuse in a range, as a sentence; null for a name that is not XGBoost's. */
export function xgboostProblem(name: string, range: ParameterRange): string | null {
  const taken = Object.hasOwn(XGBOOST_TAKES, name) ? XGBOOST_TAKES[name] : undefined;
  if (taken === undefined) return null;
  if (range.type === "continuous" && taken.whole === true)
    return `${name} is a whole number in XGBoost: write integer(${Math.ceil(range.min)}, ${Math.floor(range.max)})`;
  const tried = range.type === "categorical" ? range.values.map(Number) : [range.min, range.max];
  const wrong = tried.find((value) => !takes(taken, value));
  if (wrong === undefined) return null;
  return `XGBoost takes ${name} ${inWords(taken)}, not ${wrong}`;
}

function takes({ min, max, above, whole }: Taken, value: number): boolean {
  if (Number.isNaN(value) || (whole === true && !Number.isInteger(value))) return false;
  return (above === true ? value > min : value >= min) && value <= max;
}

function inWords({ min, max, above }: Taken): string {
  const from = above === true ? `above ${min}` : `from ${min}`;
  return max === Infinity ? from : `${from} up to ${max}`;
}

/** Different sets of values in all: Infinity as soon as one range is continuous. */
export function combinations(ranges: ParameterRanges): number {
  return Object.values(ranges).reduce((product, range) => product * valuesIn(range), 1);
}

function valuesIn(range: ParameterRange): number {
  if (range.type === "categorical") return range.values.length;
  return range.type === "integer" ? range.max - range.min + 1 : Infinity;
}
