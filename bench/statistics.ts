/** Medians, percentiles and spreads of small samples. */

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Linear interpolation between the two nearest ranks; `p` in 0..100. NaN without values. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = ((sorted.length - 1) * p) / 100;
  const low = sorted[Math.floor(rank)] ?? NaN;
  const high = sorted[Math.ceil(rank)] ?? NaN;
  return low + (high - low) * (rank - Math.floor(rank));
}

/** `median (lowest–highest)`, as every repeated figure is told. */
export function withSpread(values: readonly number[], digits: number): string {
  const lowest = formatNumber(Math.min(...values), digits);
  const highest = formatNumber(Math.max(...values), digits);
  const middle = formatNumber(median(values), digits);
  return lowest === highest ? middle : `${middle} (${lowest}–${highest})`;
}

export function formatNumber(value: number, digits: number): string {
  if (!Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

export function formatMegabytes(bytes: number): string {
  return formatNumber(bytes / 1e6, 0);
}
