/** What a cohort is to people: its members in figures, and in one sentence. */

export interface Quartiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** Of the members of a cohort, and of who is none. */
export interface CohortFigures {
  /** The gate's. */
  readonly metric: string;
  /** Members whose evaluation leaves the decision to a person. */
  readonly asking: number;
  /** Of the members' error in `metric`; null when none has it. */
  readonly error: Quartiles | null;
  /** Over the champions, as a share of their error; null when no member had a champion. */
  readonly improvement: Quartiles | null;
  /** The gate left their champion in place. */
  readonly championKept: number;
  readonly failed: number;
  /** Not trained: unchanged, or too few rows. */
  readonly skipped: number;
}

/** One paragraph for who decides. */
export function describeFigures(members: number, figures: CohortFigures): string {
  const { metric, asking, error, improvement } = figures;
  const name = metric.toUpperCase();
  const sentences = [
    `${count(members, "model")}${asking === 0 ? "" : `, ${asking} of which ask for a person`}.`,
    ...(error === null
      ? []
      : [`${name}: median ${figure(error.median)}, ${range(error, (value) => figure(value))}.`]),
    ...(improvement === null
      ? ["No member has a champion to compare with."]
      : [
          `Error removed, over the champion: median ${percent(improvement.median)}, ` +
            `${range(improvement, percent)}.`,
        ]),
    leftOut(figures),
  ];
  return sentences.filter((sentence) => sentence !== "").join(" ");
}

function leftOut({ championKept, failed, skipped }: CohortFigures): string {
  const parts = [
    ...(championKept === 0 ? [] : [`${championKept} whose champion stays`]),
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(skipped === 0 ? [] : [`${skipped} skipped`]),
  ];
  return parts.length === 0 ? "" : `Not among them: ${parts.join(", ")}.`;
}

const range = ({ low, high }: Quartiles, words: (value: number) => string): string =>
  `quartiles ${words(low)} and ${words(high)}`;

const count = (value: number, what: string): string => `${value} ${what}${value === 1 ? "" : "s"}`;
const figure = (value: number): string => String(Number(value.toPrecision(4)));
const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/**
 * The folder that holds all of them, with its closing slash. Of the first and the last in the order of their code
 * points: what these two begin with, every one between them begins with.
 */
export function commonFolder(first: string, last: string): string {
  let length = 0;
  while (length < first.length && first[length] === last[length]) length += 1;
  return first.slice(0, first.lastIndexOf("/", length - 1) + 1);
}
