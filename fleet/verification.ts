/** Compares what a served model answers with what training predicted for the same rows. */

/** A training job's metrics keep 32 bits, about seven digits; a model of another version is off by far more. */
const RELATIVE_TOLERANCE = 1e-4;
/** A prediction near zero is a difference of larger numbers: it is compared on at least this share of the largest. */
const SMALLEST_SHARE = 0.01;

export interface Answers {
  /** Training's predictions. */
  readonly offline: readonly number[];
  /** What the endpoint answered for the same rows. */
  readonly served: readonly number[];
}

/**
 * What of training's predictions is not as many as the rows that a served model is asked about, as the object of a
 * sentence; null when they are.
 */
export function missingPredictions(rows: number, predictions: number): string | null {
  if (predictions === 0) return "no verification:1";
  if (predictions === rows) return null;
  const printed = `${predictions} ${predictions === 1 ? "figure" : "figures"} verification:N`;
  return `${printed} for ${rows} verification ${rows === 1 ? "row" : "rows"}`;
}

/** As one clause that ends a sentence about the model; null when they are the same. */
export function differenceOf({ offline, served }: Answers): string | null {
  if (served.length !== offline.length)
    return `served ${served.length} predictions for ${offline.length} rows`;
  const largest = Math.max(...offline.map(Math.abs));
  for (const [index, expected] of offline.entries()) {
    const answer = served[index] ?? NaN;
    const scale = Math.max(Math.abs(expected), SMALLEST_SHARE * largest);
    // Written so that NaN differs from everything.
    if (!(Math.abs(answer - expected) <= RELATIVE_TOLERANCE * scale))
      return `served ${readable(answer)} where training predicted ${readable(expected)} (row ${index + 1})`;
  }
  return null;
}

/** Of a text/csv answer: numbers set apart by commas or line breaks. What is no number becomes NaN. */
export const readPredictions = (csv: string): number[] =>
  csv
    .split(/[\s,]+/)
    .filter((field) => field !== "")
    .map(Number);

/** Six digits: as many as the comparison looks at, and one more. */
const readable = (value: number): string => String(Number(value.toPrecision(6)));
