/** Decides which customers have drifted, and which of them are retrained now. */
import type { DriftInput, DriftPolicy } from "./drift.schema.js";
import {
  kolmogorovSmirnov,
  populationStability,
  totals,
  type Cell,
  type MeanError,
} from "./drift-statistics.js";
import { secondsOf } from "./duration.js";
import { SpecError } from "./errors.js";
import { DAY_MS, type Window } from "./window.js";

/** `drift: watchDrift({ schedule: weekly({ day: "MON", at: "05:00" }), psi: 0.25, coolDown: "30d" })` */
export const watchDrift = (drift: DriftInput): DriftInput => drift;

/** A column that is looked at, with its counts in both windows. */
export interface ColumnCounts {
  readonly column: string;
  readonly kind: "number" | "category";
  readonly cells: readonly Cell[];
}

export type Measure = "psi" | "ks" | "error";

/** One figure of a customer beside what it is measured by. */
export interface DriftFigure {
  readonly measure: Measure;
  /** Of `error`, the gate's metric; else the column. */
  readonly column: string;
  readonly value: number;
  /** What the fleet file asks; of `error`, the error at registration times the ratio. */
  readonly threshold: number;
  /** What chance reaches; of `error`, the lower end of the error, which the error at registration must not reach. */
  readonly byChance: number;
  readonly exceeds: boolean;
}

/** Chance of a false alarm about a customer in one run, all its columns and both measures taken together. */
export const FALSE_ALARM = 0.001;

/**
 * Every measure of every column, worst first. A figure exceeds when it is above its threshold and above what chance
 * brings to so few rows; the chance is shared out among the comparisons (Bonferroni). In an order that depends on
 * nothing but the figures.
 */
export function compareColumns(
  counts: readonly ColumnCounts[],
  { psi, ks }: Pick<DriftPolicy, "psi" | "ks">,
): DriftFigure[] {
  const alpha = FALSE_ALARM / Math.max(1, counts.length * (ks === undefined ? 1 : 2));
  const figures = counts.flatMap(({ column, kind, cells }) => {
    const stability = populationStability(cells, alpha);
    const found = [figure("psi", column, stability, psi)];
    if (ks !== undefined && kind === "number")
      found.push(figure("ks", column, kolmogorovSmirnov(cells, alpha), ks));
    return found;
  });
  return figures.sort(byExcess);
}

function figure(
  measure: Measure,
  column: string,
  { value, byChance }: { readonly value: number; readonly byChance: number },
  threshold: number,
): DriftFigure {
  const exceeds = value > threshold && value > byChance;
  return { measure, column, value, threshold, byChance, exceeds };
}

/** The champion on newly labelled rows: worse by more than the ratio, and surely worse than when it was registered. */
export function compareError(
  metric: "rmse" | "mae",
  { now, atRegistration }: { readonly now: MeanError; readonly atRegistration: number },
  ratio: number,
): DriftFigure {
  const threshold = ratio * atRegistration;
  const exceeds = now.value > threshold && now.low > atRegistration;
  return {
    measure: "error",
    column: metric,
    value: now.value,
    threshold,
    byChance: now.low,
    exceeds,
  };
}

/** How many times its threshold a figure is: comparable between measures, and what "worse" means. */
export const excessOf = ({ value, threshold }: DriftFigure): number =>
  Math.min(value / threshold, Number.MAX_VALUE);

export const byExcess = (one: DriftFigure, other: DriftFigure): number =>
  Number(other.exceeds) - Number(one.exceeds) ||
  excessOf(other) - excessOf(one) ||
  (one.column < other.column ? -1 : 1);

/** As one clause: "PSI of distance 0.41, at most 0.25 is tolerated". */
export function figureWords({ measure, column, value, threshold }: DriftFigure): string {
  const name = { psi: `PSI of ${column}`, ks: `KS of ${column}`, error: column }[measure];
  return `${name} ${digits(value)}, at most ${digits(threshold)} is tolerated`;
}

const digits = (value: number): string =>
  Number.isFinite(value) ? String(Number(value.toPrecision(3))) : "not a number";

/** Rows of a customer in both windows, and whether they are enough to be compared. */
export function rowsOf(
  counts: readonly ColumnCounts[],
  minimumRows: number,
): { readonly reference: number; readonly newest: number; readonly tooFew: string | null } {
  // Every row stands in one cell of each column.
  const [reference, newest] = totals(counts[0]?.cells ?? []);
  const few = reference < minimumRows ? "the champion's window" : "the new window";
  const tooFew =
    Math.min(reference, newest) < minimumRows
      ? `${Math.min(reference, newest)} rows in ${few}, drift.minimumRows asks ${minimumRows}`
      : null;
  return { reference, newest, tooFew };
}

/** A customer that has drifted, and what may speak against retraining it now. */
export interface DriftedCustomer {
  /** ISO time of the run that last had it retrained for drift; null: none. */
  readonly retrainedAt: string | null;
  /** A version that nobody has decided about, or that is being published; null: none. */
  readonly waitingVersion: number | null;
  /** A cycle that is training it now; null: none. */
  readonly inCycle: string | null;
}

export type DriftAction =
  { readonly action: "retrain" } | { readonly action: "left"; readonly because: string };

/** Ask for the worst customers first: `taken` are those that the run retrains already. */
export function decideRetraining(
  { retrainedAt, waitingVersion, inCycle }: DriftedCustomer,
  { coolDown, maxRetrainings }: Pick<DriftPolicy, "coolDown" | "maxRetrainings">,
  { at, taken }: { readonly at: string; readonly taken: number },
): DriftAction {
  if (waitingVersion !== null)
    return left(`version ${waitingVersion} waits for a decision or is being published`);
  if (inCycle !== null) return left(`cycle ${inCycle} is retraining it already`);
  if (retrainedAt !== null) {
    const until = new Date(Date.parse(retrainedAt) + secondsOf(coolDown) * 1000);
    if (Date.parse(at) < until.getTime())
      return left(
        `retrained for drift at ${retrainedAt.slice(0, 10)}, cools down until ${until.toISOString().slice(0, 10)}`,
      );
  }
  if (taken >= maxRetrainings)
    return left(`drift.maxRetrainings is ${maxRetrainings}, and others are worse`);
  return { action: "retrain" };
}

const left = (because: string): DriftAction => ({ action: "left", because });

/**
 * The rows that have come since the champion's window: from its ceiling, or the newest days of them, up to the ceiling
 * that a cycle of that time would have. Null when there can be none.
 */
export function newestWindow(
  champion: Window,
  { ceiling, days }: { readonly ceiling: string; readonly days: number | undefined },
): Window | null {
  const earliest = days === undefined ? -Infinity : Date.parse(ceiling) - days * DAY_MS;
  const floor = Math.max(Date.parse(champion.ceiling), earliest);
  if (floor >= Date.parse(ceiling)) return null;
  return { floor: new Date(floor).toISOString(), ceiling };
}

/** Throws SpecError when a name is no column that is looked at. */
export function watchedColumns<Column extends { readonly name: string }>(
  columns: readonly Column[],
  ignore: readonly string[],
): Column[] {
  const names = columns.map(({ name }) => name);
  const unknown = ignore.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new SpecError(
      `drift.ignore names "${unknown}", which is no column of source.query (it has ${names.join(", ")})`,
      "correct the name, or take it out; the customer and split.column are never looked at",
    );
  const watched = columns.filter(({ name }) => !ignore.includes(name));
  if (watched.length > 0) return watched;
  throw new SpecError("drift.ignore leaves no column to look at", "take a name out of it");
}
