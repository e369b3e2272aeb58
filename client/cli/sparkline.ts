/** A small chart of one line: as high as its value is between nothing and the largest. */

const BARS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"] as const;

/** Null, where nothing was reported, stays empty; zero is the lowest bar. */
export function sparkline(values: readonly (number | null)[]): string {
  const largest = Math.max(0, ...values.filter((value) => value !== null));
  return values
    .map((value) => {
      if (value === null) return " ";
      const share = largest === 0 ? 0 : Math.max(0, value) / largest;
      return BARS[Math.min(Math.round(share * (BARS.length - 1)), BARS.length - 1)] ?? " ";
    })
    .join("");
}
