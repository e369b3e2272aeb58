/** Which point a search tries next. */
import { knownPoints, nextFromParents, toldTrials } from "./tuning-history.js";
import { gridPoints, pointKey } from "./tuning-ranges.js";
import type { Point } from "./tuning-ranges.js";
import type { SearchState, TuningSearch } from "./tuning-search.js";
import { searchOf } from "./tuning-state.js";
import type { TuningState } from "./tuning-state.js";

/** Undefined when there is none left. */
export async function nextPoint(
  tuning: TuningState,
  tuningSearch: TuningSearch,
): Promise<Point | undefined> {
  const search = searchOf(tuning);
  const { strategy, ranges } = tuning.plan;
  if (strategy === "Grid") {
    const tried = [...search.own.map(({ point }) => point), ...knownPoints(search)];
    const taken = new Set(tried.map((point) => pointKey(ranges, point)));
    for (const point of gridPoints(ranges)) if (!taken.has(pointKey(ranges, point))) return point;
    return undefined;
  }
  return nextFromParents(search) ?? tuningSearch.suggest(searchState(tuning, strategy));
}

/** Does Hyperband stop this running trial, by the values reported so far? */
export async function isToBeCut(
  tuning: TuningState,
  tuningSearch: TuningSearch,
  number: number,
): Promise<boolean> {
  const state = searchState(tuning, "Hyperband");
  const parentTrials = state.trials.length - tuning.records.size;
  return tuningSearch.isToBeCut(state, parentTrials + number - 1);
}

function searchState(tuning: TuningState, strategy: SearchState["strategy"]): SearchState {
  const { ranges, objective, hyperband } = tuning.plan;
  return {
    ...{ strategy, ranges, direction: objective.direction },
    seed: seedOf(tuning),
    trials: toldTrials(searchOf(tuning)),
    ...(hyperband && { hyperband }),
  };
}

/** Each choice has a seed of its own, which a restart of the server does not change. */
function seedOf({ seed, records }: TuningState): number {
  const step = 1_000_003;
  return (seed + records.size * step) % 2 ** 32;
}
