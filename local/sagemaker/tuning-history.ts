/** What a search knows when it looks for its next point: its own trials, and what its parents' trials teach. */
import { clip, isWithin, pointKey, valueOf } from "./tuning-ranges.js";
import type { Point, Range, Value } from "./tuning-ranges.js";
import type { Objective } from "./tuning-request.js";
import type { WarmStartType } from "./tuning-warm-start.js";

/** A training job of this search, running or ended. */
export interface OwnTrial {
  readonly point: Point;
  readonly state: "running" | "complete" | "cut" | "failed";
  readonly objective?: number;
  /** How many values of the objective it had reported, and those at the rungs: for one that was cut. */
  readonly reported: readonly (readonly [step: number, value: number])[];
}

/** A training job of a parent that ended with an objective. */
export interface ParentTrial {
  /** Static and tuned ones together. */
  readonly hyperParameters: Readonly<Record<string, string>>;
  readonly objective: number;
}

export interface WarmStart {
  readonly type: WarmStartType;
  /** One list for each parent, in the order of the request. */
  readonly parents: readonly (readonly ParentTrial[])[];
}

export interface Search {
  readonly ranges: readonly Range[];
  readonly objective: Objective;
  /** The hyperparameters that have one value in every job of this search. */
  readonly statics: Readonly<Record<string, string>>;
  readonly own: readonly OwnTrial[];
  readonly warmStart?: WarmStart;
}

/** A trial as the sampler is told it. */
export interface ToldTrial extends OwnTrial {
  /** The sampler must not propose this point again. */
  readonly isTaken: boolean;
}

/** Parents' best points that are tried before the sampler is asked: they seldom have lost all their worth. */
const triedAgain = 3;

/**
 * The best points of the parents that this search has not tried yet; empty after the first few.
 * On other data (TransferLearning) the points themselves: nobody knows yet what they are worth there.
 * On identical data that is known, so only those that had to be moved into changed ranges.
 */
export function nextFromParents(search: Search): Point | undefined {
  if (search.warmStart === undefined || search.own.length >= triedAgain) return undefined;
  const taken = new Set(search.own.map(({ point }) => pointKey(search.ranges, point)));
  for (const point of knownPoints(search)) taken.add(pointKey(search.ranges, point));
  const candidates = bestFirst(search).slice(0, triedAgain);
  return candidates.find((point) => !taken.has(pointKey(search.ranges, point)));
}

/** The trials to learn from, parents' first, in an order that stays the same while the search goes on. */
export function toldTrials(search: Search): ToldTrial[] {
  const { warmStart, own, ranges } = search;
  const learned = (warmStart?.parents ?? []).flatMap((trials) => {
    const shift = warmStart?.type === "TransferLearning" ? shiftOf(search, trials) : 0;
    return trials.flatMap(({ hyperParameters, objective }): ToldTrial[] => {
      const point = pointOf(ranges, hyperParameters);
      if (point === undefined || !ranges.every((range) => isWithin(range, point[range.name] ?? "")))
        return []; // Its objective belongs to a point that cannot be proposed here.
      const isTaken =
        warmStart?.type === "IdenticalDataAndAlgorithm" && isSameJob(search, hyperParameters);
      const told = { point, objective: objective + shift, reported: [] };
      return [{ ...told, state: "complete", isTaken }];
    });
  });
  return [...learned, ...own.map((trial) => ({ ...trial, isTaken: true }))];
}

/** Points whose objective is known on this very data: those of the parents of an identical search. */
export function knownPoints(search: Search): Point[] {
  const { warmStart, ranges } = search;
  if (warmStart?.type !== "IdenticalDataAndAlgorithm") return [];
  return warmStart.parents.flat().flatMap(({ hyperParameters }) => {
    const point = pointOf(ranges, hyperParameters);
    return point !== undefined && isSameJob(search, hyperParameters) ? [point] : [];
  });
}

/** The parents' points, the best of each first, moved into the ranges; no point twice. */
function bestFirst({ warmStart, ranges, objective }: Search): Point[] {
  const lists = (warmStart?.parents ?? []).map((trials) =>
    [...trials].sort((a, b) => compare(objective, a.objective, b.objective)),
  );
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  const points = new Map<string, Point>();
  // Values of different parents cannot be compared on different data: they take turns.
  for (let rank = 0; rank < longest; rank++)
    for (const trials of lists) {
      const point = pointOf(ranges, trials[rank]?.hyperParameters ?? {});
      const moved = point && movedInside(ranges, point);
      if (moved !== undefined && !points.has(pointKey(ranges, moved)))
        points.set(pointKey(ranges, moved), moved);
    }
  return [...points.values()];
}

/** A hyperparameter that was static in the parent has its static value. */
function pointOf(
  ranges: readonly Range[],
  hyperParameters: ParentTrial["hyperParameters"],
): Point | undefined {
  return completePoint(ranges, (range) => valueOf(range, hyperParameters[range.name]));
}

function movedInside(ranges: readonly Range[], point: Point): Point | undefined {
  return completePoint(ranges, (range) => clip(range, point[range.name] ?? ""));
}

function completePoint(
  ranges: readonly Range[],
  valueIn: (range: Range) => Value | undefined,
): Point | undefined {
  const point: Record<string, Value> = {};
  for (const range of ranges) {
    const value = valueIn(range);
    if (value === undefined) return undefined;
    point[range.name] = value;
  }
  return point;
}

/** Did that job have the static values that every job of this search has? */
function isSameJob({ statics }: Search, hyperParameters: ParentTrial["hyperParameters"]): boolean {
  return Object.entries(statics).every(([name, value]) => hyperParameters[name] === value);
}

/**
 * What to add to a parent's objectives to compare them with this search's own, which were measured on
 * other data. Points tried on both tell it directly (the median, since one may be off); else the best of
 * both are taken as equal. Before the first own result only differences inside a parent mean anything.
 */
function shiftOf({ ranges, objective, own }: Search, parent: readonly ParentTrial[]): number {
  const measured = own.flatMap(({ point, state, objective: value }) =>
    state === "complete" && value !== undefined ? [{ point, value }] : [],
  );
  const before = new Map(
    parent.map((trial) => {
      const point = pointOf(ranges, trial.hyperParameters);
      return [point && pointKey(ranges, point), trial.objective];
    }),
  );
  const differences = measured.flatMap(({ point, value }) => {
    const old = before.get(pointKey(ranges, point));
    return old === undefined ? [] : [value - old];
  });
  if (differences.length > 0) return median(differences);
  const parentBest =
    best(
      objective,
      parent.map((trial) => trial.objective),
    ) ?? 0;
  return (
    (best(
      objective,
      measured.map(({ value }) => value),
    ) ?? 0) - parentBest
  );
}

/** Negative when the first is better. */
export function compare({ direction }: Objective, a: number, b: number): number {
  return direction === "minimize" ? a - b : b - a;
}

export function best(objective: Objective, values: readonly number[]): number | undefined {
  return [...values].sort((a, b) => compare(objective, a, b))[0];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.floor(sorted.length / 2)],
  ];
  return ((low ?? 0) + (high ?? 0)) / 2;
}
