/** The ranges that a tuning job searches: read from a request, counted, and applied to values. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import { validationError } from "./errors.js";
import type { Wire } from "./operations.js";

export type Scale = "linear" | "logarithmic" | "reverse-logarithmic";

export interface NumberRange {
  readonly kind: "continuous" | "integer";
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly scale: Scale;
}

export interface CategoricalRange {
  readonly kind: "categorical";
  readonly name: string;
  readonly values: readonly string[];
}

export type Range = NumberRange | CategoricalRange;
export type Value = number | string;

/** One value for every range, by name. */
export type Point = Readonly<Record<string, Value>>;

type ParameterRanges = Wire<sagemaker.ParameterRanges>;
type BoundedRange = Wire<sagemaker.IntegerParameterRange | sagemaker.ContinuousParameterRange>;

/** Developer Guide, automatic-model-tuning-limits. */
const maxTunables = 30;

/** Spanning more than this, a range of scale Auto is searched by its logarithm. AWS does not publish its rule. */
const autoLogarithmicSpan = 100;

/** Throws a ValidationException for what cannot be searched. */
export function readRanges(ranges: ParameterRanges): Range[] {
  const { IntegerParameterRanges = [], ContinuousParameterRanges = [] } = ranges;
  const { CategoricalParameterRanges = [], AutoParameters } = ranges;
  if (AutoParameters !== undefined)
    throw validationError("The local SageMaker server has no Autotune: give ranges yourself.");
  const read: Range[] = [
    ...IntegerParameterRanges.map((range) => readNumberRange("integer", range)),
    ...ContinuousParameterRanges.map((range) => readNumberRange("continuous", range)),
    ...CategoricalParameterRanges.map(readCategoricalRange),
  ];
  if (read.length === 0)
    throw validationError("A tuning job needs at least one range in ParameterRanges.");
  if (read.length > maxTunables)
    throw validationError(
      `A tuning job searches at most ${maxTunables} hyperparameters, not ${read.length}.`,
    );
  const names = read.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined)
    throw validationError(`Hyperparameter ${twice} has more than one range.`);
  return read;
}

function readNumberRange(kind: NumberRange["kind"], range: BoundedRange): NumberRange {
  const { Name: name, ScalingType = "Auto" } = range;
  const refuse = (why: string) =>
    validationError(`The range of ${kind} hyperparameter ${name} ${why}.`);
  const bound = (member: "MinValue" | "MaxValue"): number => {
    const text = range[member].trim();
    const number = text === "" ? NaN : Number(text);
    if (kind === "integer" ? Number.isSafeInteger(number) : Number.isFinite(number)) return number;
    throw refuse(
      `has ${member} "${range[member]}", which is not ${kind === "integer" ? "an integer" : "a number"}`,
    );
  };
  const [min, max] = [bound("MinValue"), bound("MaxValue")];
  if (min >= max) throw refuse(`has MinValue ${min}, which must be less than MaxValue ${max}`);
  if (ScalingType === "Logarithmic" && min <= 0)
    throw refuse(`has MinValue ${min}: Logarithmic scaling works only for values greater than 0`);
  if (ScalingType === "ReverseLogarithmic" && kind === "integer")
    throw refuse("cannot have ReverseLogarithmic scaling: only continuous ones can");
  if (ScalingType === "ReverseLogarithmic" && (min < 0 || max >= 1))
    throw refuse(`is ${min} to ${max}: ReverseLogarithmic scaling works only within 0 <= x < 1.0`);
  return { kind, name, min, max, scale: scaleOf(ScalingType, min, max) };
}

function scaleOf(type: string, min: number, max: number): Scale {
  if (type === "Logarithmic") return "logarithmic";
  if (type === "ReverseLogarithmic") return "reverse-logarithmic";
  return type === "Auto" && min > 0 && max / min >= autoLogarithmicSpan ? "logarithmic" : "linear";
}

function readCategoricalRange(range: Wire<sagemaker.CategoricalParameterRange>): CategoricalRange {
  const { Name: name, Values: values } = range;
  const twice = values.find((value, index) => values.indexOf(value) < index);
  if (twice !== undefined)
    throw validationError(`Categorical hyperparameter ${name} has the value "${twice}" twice.`);
  return { kind: "categorical", name, values };
}

/** How many different points there are; infinitely many with a continuous range. */
export function countPoints(ranges: readonly Range[]): number {
  const sizes = ranges.map((range) => {
    if (range.kind === "categorical") return range.values.length;
    return range.kind === "integer" ? range.max - range.min + 1 : Infinity;
  });
  return sizes.reduce((product, size) => product * size, 1);
}

/** The points of categorical ranges, the last range changing fastest. */
export function* gridPoints(ranges: readonly Range[]): Generator<Point> {
  const [first, ...others] = ranges;
  if (first === undefined) return void (yield {});
  if (first.kind !== "categorical") return;
  for (const value of first.values)
    for (const rest of gridPoints(others)) yield { [first.name]: value, ...rest };
}

/** A value as a training job gets it: numbers in full precision, continuous ones always with a point or exponent. */
export function textOf(range: Range, value: Value): string {
  const text = String(value);
  return range.kind === "continuous" && /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** The value that a job's hyperparameter has, inside the range or not; undefined for what is no such value. */
export function valueOf(range: Range, text: string | undefined): Value | undefined {
  if (text === undefined) return undefined;
  if (range.kind === "categorical") return text;
  const number = Number(text.replace(/^"(.*)"$/, "$1")); // The Python SDK sends numbers as "\"0.3\"" too.
  if (text.trim() === "" || !Number.isFinite(number)) return undefined;
  return range.kind === "continuous" || Number.isInteger(number) ? number : undefined;
}

export function isWithin(range: Range, value: Value): boolean {
  if (range.kind === "categorical") return range.values.includes(String(value));
  return typeof value === "number" && range.min <= value && value <= range.max;
}

/** The nearest value inside the range; a category that is not there has none. */
export function clip(range: Range, value: Value): Value | undefined {
  if (isWithin(range, value)) return value;
  if (range.kind === "categorical" || typeof value !== "number") return undefined;
  return Math.min(Math.max(value, range.min), range.max);
}

/** The same text for the same point. */
export function pointKey(ranges: readonly Range[], point: Point): string {
  return JSON.stringify(ranges.map(({ name }) => point[name]));
}
