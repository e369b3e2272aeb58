/** Decides how many training jobs a customer's search gets in a cycle. */
import type { TuningSpec } from "./tuning.schema.js";

/** Errors on one cycle's held-out rows, by metric. */
export interface PastEvaluation {
  readonly challenger: Readonly<Record<string, number>>;
  /** The champion on the same rows; null when there was none. */
  readonly champion: Readonly<Record<string, number>> | null;
}

export interface SearchSizeInput {
  readonly tuning: TuningSpec;
  readonly gate: { readonly metric: "rmse" | "mae"; readonly better: number };
  /** The cycle only shows that the path works. */
  readonly testing: boolean;
  /** A model serves the customer. */
  readonly hasChampion: boolean;
  /** The customer's newest evaluation of an earlier cycle, if there is one. */
  readonly last: PastEvaluation | null;
}

export interface SearchSize {
  readonly maxJobs: number;
  /** In words, for the history; null when there was nothing to decide. */
  readonly because: string | null;
}

/**
 * With a budget, a customer whose champion still holds gets the small search. It holds when the last challenger,
 * made from the newest rows, was not better on them by more than the gate asks.
 */
export function chooseSearchSize(input: SearchSizeInput): SearchSize {
  const { tuning, testing } = input;
  if (testing) return { maxJobs: 1, because: "a testing run has a single training job" };
  if (tuning.budget === undefined) return { maxJobs: tuning.maxJobs, because: null };
  const { holds, drifts } = tuning.budget;
  const drift = driftOf(input);
  return drift === null
    ? { maxJobs: holds, because: "the champion still holds: small search" }
    : { maxJobs: drifts, because: `${drift}: large search` };
}

/** Why the champion cannot be said to hold; null when it does. */
function driftOf({ gate, hasChampion, last }: SearchSizeInput): string | null {
  if (!hasChampion) return "no champion yet";
  const challenger = last?.challenger[gate.metric];
  const champion = last?.champion?.[gate.metric];
  if (challenger === undefined || champion === undefined)
    return "the champion has not been tried on newer rows yet";
  const gain = champion === 0 ? 0 : 1 - challenger / champion;
  if (gain <= 0 || gain < gate.better) return null;
  return `the last challenger's ${gate.metric} was ${percent(gain)} below the champion's`;
}

const percent = (share: number): string => `${Number((share * 100).toFixed(1))} %`;

/** Training jobs at a time in a search of so many. */
export const parallelOf = ({ parallel }: TuningSpec, maxJobs: number): number =>
  Math.min(parallel, maxJobs);

/** Training jobs at a time in the largest search that a cycle may ask for. */
export const mostParallel = (tuning: TuningSpec, { testing }: { testing: boolean }): number =>
  parallelOf(tuning, testing ? 1 : (tuning.budget?.drifts ?? tuning.maxJobs));
