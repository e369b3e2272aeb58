/** What a search had found after each of its training jobs, and how many jobs it took to get as far as another. */

/** Objective values in the order in which the jobs started; null: no value. Lower is better. */
export type Trials = readonly (number | null)[];

/** After each job, the best value so far; Infinity before the first value. */
export function bestSoFar(trials: Trials): number[] {
  let best = Infinity;
  return trials.map((value) => (best = Math.min(best, value ?? Infinity)));
}

/** How many jobs it took to reach `goal` or better; null when it never did. */
export function jobsToReach(trials: Trials, goal: number): number | null {
  const place = bestSoFar(trials).findIndex((best) => best <= goal);
  return place < 0 ? null : place + 1;
}

/**
 * The best so far as a share of `goal`, after 1 to `jobs` jobs: 1 is level with it, 1.05 is 5 % worse. A search that
 * ended early keeps its last value.
 */
export function relativeCurve(trials: Trials, goal: number, jobs: number): number[] {
  const best = bestSoFar(trials);
  return Array.from(
    { length: jobs },
    (_, index) => (best[Math.min(index, best.length - 1)] ?? Infinity) / goal,
  );
}
