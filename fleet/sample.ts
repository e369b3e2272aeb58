/** Picks a few of many to look at: spread evenly over the range of a figure, with both ends. */

/**
 * Sorted by the figure and cut into strata of equal number: one of each, so that every part of the range is seen.
 * The same models give the same sample. Those without the figure come last, as a stratum of their own.
 */
export function stratifiedSample<T>(
  all: readonly T[],
  size: number,
  figureOf: (one: T) => number | null,
): T[] {
  if (all.length <= size) return [...all];
  const sorted = [...all].sort(
    (one, other) => (figureOf(one) ?? Infinity) - (figureOf(other) ?? Infinity) || 0,
  );
  if (size === 1) return sorted.slice(Math.floor(sorted.length / 2)).slice(0, 1);
  const step = (sorted.length - 1) / (size - 1);
  return Array.from({ length: size }, (_none, index) => Math.round(index * step)).flatMap((place) =>
    sorted.slice(place, place + 1),
  );
}
