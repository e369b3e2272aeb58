/** How far apart two windows of rows are, from counts: PSI and the Kolmogorov–Smirnov distance, and how far chance goes. */

/**
 * Rows of one column that fell into one cell. Of a number, cells are intervals in ascending order, between the
 * reference window's deciles; of a category, its values, dealt into `CATEGORY_CELLS` by their hash.
 */
export interface Cell {
  /** `NULL_CELL` for NULL. */
  readonly code: number;
  readonly reference: number;
  readonly newest: number;
}

export const NULL_CELL = -1;

/** Quantiles of the reference window that cut a number's range: the ten bins that credit scoring uses. */
export const QUANTILES: readonly number[] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/** A power of two. More cells tell more values apart, and take more rows to tell them from chance. */
export const CATEGORY_CELLS = 32;

export interface Distance {
  readonly value: number;
  /** What two samples of one distribution exceed with the probability asked for. */
  readonly byChance: number;
}

/** Added to each count: ln(0) is no distance. Half a row, as Jeffreys' prior has it, moves large counts by nothing. */
const PRIOR = 0.5;

/**
 * Population stability index, the symmetric Kullback–Leibler divergence of two histograms: Σ (q − p) ln(q / p). NULL is
 * a bin; bins without rows in either window are none. Credit scoring reads below 0.1 as stable and above 0.25 as
 * shifted (Siddiqi, Credit Risk Scorecards, 2006). For two samples of n and m rows of one distribution it is
 * (1/n + 1/m) times a chi-squared variable of (bins − 1) degrees of freedom (Yurdakul and Naranjo, Statistical properties
 * of the population stability index, Journal of Risk Model Validation 14(4), 2020): `byChance` is that at `alpha`.
 * Throws nothing; without rows in one of the windows nothing is known, and both figures are 0.
 */
export function populationStability(cells: readonly Cell[], alpha: number): Distance {
  const bins = cells.filter(({ reference, newest }) => reference + newest > 0);
  const [n, m] = totals(bins);
  if (n === 0 || m === 0 || bins.length < 2) return { value: 0, byChance: 0 };
  const share = (count: number, all: number) => (count + PRIOR) / (all + PRIOR * bins.length);
  let value = 0;
  for (const { reference, newest } of bins) {
    const [p, q] = [share(reference, n), share(newest, m)];
    value += (q - p) * Math.log(q / p);
  }
  return { value, byChance: (1 / n + 1 / m) * chiSquaredQuantile(bins.length - 1, alpha) };
}

/**
 * Two-sample Kolmogorov–Smirnov distance: the largest difference of the cumulative shares, here at the cells' ends, so
 * that it is at most the exact one, and below it by less than a cell's share. NULLs are left out. `byChance` inverts
 * the asymptotic distribution with Stephens' correction for few rows (Journal of the Royal Statistical Society B 32,
 * 1970; Numerical Recipes, 14.3).
 */
export function kolmogorovSmirnov(cells: readonly Cell[], alpha: number): Distance {
  const numbers = cells
    .filter(({ code }) => code !== NULL_CELL)
    .sort((one, other) => one.code - other.code);
  const [n, m] = totals(numbers);
  if (n === 0 || m === 0) return { value: 0, byChance: 0 };
  let [value, reference, newest] = [0, 0, 0];
  for (const cell of numbers) {
    reference += cell.reference;
    newest += cell.newest;
    value = Math.max(value, Math.abs(reference / n - newest / m));
  }
  const root = Math.sqrt((n * m) / (n + m));
  // The first term of the distribution's series: the others are below a millionth of it at such an alpha.
  const byChance = Math.sqrt(-0.5 * Math.log(alpha / 2)) / (root + 0.12 + 0.11 / root);
  return { value, byChance: Math.min(1, byChance) };
}

/** Of the rows of both windows. */
export function totals(cells: readonly Cell[]): [reference: number, newest: number] {
  return [
    cells.reduce((sum, { reference }) => sum + reference, 0),
    cells.reduce((sum, { newest }) => sum + newest, 0),
  ];
}

export interface MeanError {
  readonly value: number;
  /** One-sided: the true error is above it with 99 % confidence. */
  readonly low: number;
}

const ONE_SIDED_99 = 2.326;

/**
 * The error of predictions, with how low it may be by the sample's luck: a normal interval of the mean of the squared
 * (or absolute) residuals. Infinite when a prediction is no number.
 */
export function meanError(
  metric: "rmse" | "mae",
  rows: readonly { readonly target: number; readonly prediction: number }[],
): MeanError {
  const losses = rows.map(({ target, prediction }) =>
    metric === "rmse" ? (prediction - target) ** 2 : Math.abs(prediction - target),
  );
  if (losses.length === 0 || !losses.every(Number.isFinite)) return { value: Infinity, low: 0 };
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const variance =
    losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / Math.max(1, losses.length - 1);
  const low = Math.max(0, mean - ONE_SIDED_99 * Math.sqrt(variance / losses.length));
  return metric === "rmse" ? { value: Math.sqrt(mean), low: Math.sqrt(low) } : { value: mean, low };
}

/** Wilson and Hilferty, 1931: off by less than 1 % at the degrees of freedom and alphas used here. */
function chiSquaredQuantile(degrees: number, alpha: number): number {
  const spread = 2 / (9 * degrees);
  return degrees * (1 - spread + normalQuantile(1 - alpha) * Math.sqrt(spread)) ** 3;
}

/** Abramowitz and Stegun, 26.2.23: absolute error below 4.5e-4. For probabilities of at least a half. */
function normalQuantile(probability: number): number {
  const t = Math.sqrt(-2 * Math.log(1 - probability));
  return (
    t -
    (2.515517 + 0.802853 * t + 0.010328 * t * t) /
      (1 + 1.432788 * t + 0.189269 * t * t + 0.001308 * t * t * t)
  );
}
