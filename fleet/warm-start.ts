/** Chooses the earlier tuning jobs that a search starts from, and says why each was taken or passed over. */
import { LIMITS } from "./limits.js";
import type { ParameterRange, ParameterRanges } from "./ranges.js";

/** What of a search decides whether another may learn from it. */
export interface Search {
  readonly fleet: string;
  readonly customerKey: string;
  readonly account: string;
  readonly region: string;
  readonly objective: {
    readonly metric: string;
    readonly direction: "minimize" | "maximize";
  };
  readonly ranges: ParameterRanges;
  readonly staticHyperparameters: Readonly<Record<string, string>>;
  /** Of the exported rows; null when unknown. */
  readonly dataHash: string | null;
  readonly codeHash: string;
  readonly image: string;
  /** Training jobs at most. */
  readonly maxJobs: number;
}

export interface WantedSearch extends Search {
  readonly strategy: "Bayesian" | "Random" | "Grid" | "Hyperband";
  readonly warmStart: false | { readonly parents: number; readonly siblings: readonly string[] };
}

export interface WarmStartCandidate extends Search {
  readonly tuningJobName: string;
  /** ISO 8601 in UTC. */
  readonly createdAt: string;
  /** SageMaker's; null while it runs. */
  readonly status: string | null;
  /** It was to show that the path works, with a single training job. */
  readonly testing: boolean;
  /** Null when no training job of it reached the objective. */
  readonly bestValue: number | null;
  /** SageMaker was asked and does not know it any more. */
  readonly forgotten?: boolean;
}

export type WarmStartType = "IdenticalDataAndAlgorithm" | "TransferLearning";

export interface WarmStartReason {
  readonly tuningJobName: string;
  readonly taken: boolean;
  readonly because: string;
}

export interface WarmStart {
  /** Names of tuning jobs, best choice first; none: the search starts from nothing. */
  readonly parents: readonly string[];
  readonly type: WarmStartType | null;
  /** The choice as a whole, in one sentence. */
  readonly because: string;
  /** One for each candidate, in the order in which they were looked at. */
  readonly reasons: readonly WarmStartReason[];
}

/**
 * Eligible is a Completed search for the same objective, over compatible ranges of the same hyperparameters, with
 * more than one training job. The customer's own come first, newest first; only without any of its own do those
 * of declared siblings stand in. What SageMaker asks of a parent and its child:
 * https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-warm-start.html
 */
export function findWarmStartParents(
  candidates: readonly WarmStartCandidate[],
  wanted: WantedSearch,
): WarmStart {
  const { warmStart } = wanted;
  if (warmStart === false) return cold("the fleet asks for no warm start");
  if (wanted.strategy === "Grid")
    return cold("a grid tries every combination: it has nothing to learn from earlier searches");
  const parents: WarmStartCandidate[] = [];
  const reasons: WarmStartReason[] = [];
  for (const candidate of [...candidates].sort(byNearness(wanted))) {
    const refusal =
      refusalOf(candidate, wanted, warmStart.siblings) ??
      surplusOf(candidate, parents, wanted, warmStart.parents);
    if (refusal === null) parents.push(candidate);
    reasons.push({
      tuningJobName: candidate.tuningJobName,
      taken: refusal === null,
      because: refusal ?? merit(candidate, wanted),
    });
  }
  if (parents.length === 0) return { ...cold(whyCold(reasons)), reasons };
  const changed = parents.flatMap((parent) => whatChanged(parent, wanted));
  return {
    parents: parents.map((parent) => parent.tuningJobName),
    type: changed.length === 0 ? "IdenticalDataAndAlgorithm" : "TransferLearning",
    because:
      changed.length === 0
        ? "data and algorithm are those of its parents"
        : `changed since its parents: ${[...new Set(changed)].join(", ")}`,
    reasons,
  };
}

const cold = (because: string): WarmStart => ({ parents: [], type: null, because, reasons: [] });

const whyCold = (reasons: readonly WarmStartReason[]): string =>
  reasons.length === 0 ? "no earlier search to start from" : "no earlier search is eligible";

/** What SageMaker refused as identical may still be learnt from. */
export const asTransferLearning = (choice: WarmStart, note: string): WarmStart => ({
  ...choice,
  type: "TransferLearning",
  because: note,
});

/** Of a choice that SageMaker refuses: the search starts from nothing, and says so. */
export const fromNothing = (choice: WarmStart, note: string): WarmStart => ({
  parents: [],
  type: null,
  because: note,
  reasons: choice.reasons.map((reason) =>
    reason.taken
      ? { ...reason, taken: false, because: "SageMaker refuses the warm start" }
      : reason,
  ),
});

/** For people: the choice, then a line for each candidate. */
export function describeWarmStart({ type, because, reasons }: WarmStart): string {
  const title =
    type === null ? `Starts from nothing: ${because}` : `Warm start (${type}): ${because}`;
  const lines = reasons.map(
    ({ tuningJobName, taken, because: why }) =>
      `- \`${tuningJobName}\` ${taken ? "taken" : "passed over"}: ${why}`,
  );
  return [title, ...lines].join("\n");
}

type Relation = "own" | "sibling" | "other customer";

function relation(candidate: Search, wanted: Search): Relation {
  if (candidate.customerKey !== wanted.customerKey) return "other customer";
  return candidate.fleet === wanted.fleet ? "own" : "sibling";
}

const NEARNESS: Readonly<Record<Relation, number>> = { own: 0, sibling: 1, "other customer": 2 };

/** Nearest relation first, then newest first; by name where nothing else tells them apart. */
const byNearness =
  (wanted: Search) =>
  (one: WarmStartCandidate, other: WarmStartCandidate): number =>
    NEARNESS[relation(one, wanted)] - NEARNESS[relation(other, wanted)] ||
    order(other.createdAt, one.createdAt) ||
    order(one.tuningJobName, other.tuningJobName);

const order = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

/** Why a candidate can be no parent, whatever the others are; null when it can. */
function refusalOf(
  candidate: WarmStartCandidate,
  wanted: WantedSearch,
  siblings: readonly string[],
): string | null {
  if (relation(candidate, wanted) !== "own" && !siblings.includes(candidate.fleet))
    return `it belongs to ${candidate.customerKey} of ${candidate.fleet}, which is no declared sibling`;
  if (candidate.status === null) return "it has not ended";
  if (candidate.status !== "Completed") return `it ended as ${candidate.status}`;
  if (candidate.testing || candidate.maxJobs <= 1)
    return "a testing run: its single training job tells nothing";
  if (candidate.bestValue === null) return "none of its training jobs reached the objective";
  if (candidate.account !== wanted.account || candidate.region !== wanted.region)
    return `it ran in ${candidate.account}/${candidate.region}, this search runs in ${wanted.account}/${wanted.region}`;
  if (candidate.forgotten === true) return "SageMaker does not know it any more";
  return objectiveRefusal(candidate, wanted) ?? hyperparameterRefusal(candidate, wanted);
}

function objectiveRefusal({ objective: theirs }: Search, { objective: ours }: Search) {
  if (theirs.metric === ours.metric && theirs.direction === ours.direction) return null;
  return `its objective was to ${theirs.direction} ${theirs.metric}`;
}

function hyperparameterRefusal(candidate: Search, wanted: Search): string | null {
  const theirs = namesOf(candidate);
  const ours = namesOf(wanted);
  const gone = [...theirs].filter((name) => !ours.has(name)).sort();
  const added = [...ours].filter((name) => !theirs.has(name)).sort();
  if (gone.length > 0) return `it had hyperparameters that are gone: ${gone.join(", ")}`;
  if (added.length > 0) return `it lacks hyperparameters: ${added.join(", ")}`;
  for (const [name, range] of Object.entries(wanted.ranges)) {
    const before = ownValue(candidate.ranges, name);
    if (before === undefined) continue;
    if (before.type !== range.type) return `${name} was ${before.type} and is ${range.type}`;
    if (!overlap(before, range))
      return `its range of ${name} (${rangeInWords(before)}) does not meet ${rangeInWords(range)}`;
  }
  const changes = changesSince(candidate, wanted);
  return changes > LIMITS.warmStartChanges
    ? `${changes} hyperparameters were changed or fixed since, SageMaker takes ${LIMITS.warmStartChanges}`
    : null;
}

const namesOf = ({ ranges, staticHyperparameters }: Search): Set<string> =>
  new Set([...Object.keys(ranges), ...Object.keys(staticHyperparameters)]);

const ownValue = <T>(of: Readonly<Record<string, T>>, name: string): T | undefined =>
  Object.hasOwn(of, name) ? of[name] : undefined;

function overlap(one: ParameterRange, other: ParameterRange): boolean {
  if (one.type === "categorical" || other.type === "categorical")
    return (
      one.type === other.type &&
      "values" in one &&
      "values" in other &&
      one.values.some((value) => other.values.includes(value))
    );
  return one.min <= other.max && other.min <= one.max;
}

const rangeInWords = (range: ParameterRange): string =>
  range.type === "categorical" ? range.values.join(", ") : `${range.min} to ${range.max}`;

/** Counted as SageMaker does: a categorical that becomes static once for each of its values. */
function changesSince(candidate: Search, wanted: Search): number {
  let changes = 0;
  for (const [name, value] of Object.entries(wanted.staticHyperparameters)) {
    const range = ownValue(candidate.ranges, name);
    if (range !== undefined) changes += range.type === "categorical" ? range.values.length : 1;
    else if (ownValue(candidate.staticHyperparameters, name) !== value) changes++;
  }
  return changes;
}

/** Why an eligible candidate is left out beside those that were taken before it; null when there is room. */
function surplusOf(
  candidate: WarmStartCandidate,
  taken: readonly WarmStartCandidate[],
  wanted: WantedSearch,
  parents: number,
): string | null {
  const own = taken.some((parent) => relation(parent, wanted) === "own");
  if (own && relation(candidate, wanted) !== "own")
    return "not needed: the customer has an eligible search of its own";
  const most = Math.min(parents, LIMITS.warmStartParents);
  if (taken.length >= most)
    return most === 1 ? "a nearer one was taken" : `${most} nearer ones were taken`;
  const jobs = [...taken, candidate, wanted].reduce((sum, search) => sum + search.maxJobs, 0);
  const limit =
    wanted.strategy === "Random" ? LIMITS.randomTrainingJobs : LIMITS.tuningTrainingJobs;
  return jobs > limit
    ? `with its ${candidate.maxJobs} training jobs the search would count ${jobs}, SageMaker takes ${limit}`
    : null;
}

function merit(candidate: WarmStartCandidate, wanted: WantedSearch): string {
  const whose = {
    own: "the customer's own",
    sibling: `of the same customer in ${candidate.fleet}`,
    "other customer": `of ${candidate.customerKey} in ${candidate.fleet}`,
  }[relation(candidate, wanted)];
  const best = Number(candidate.bestValue?.toPrecision(4));
  return `${whose}, best ${candidate.objective.metric} ${best} in ${candidate.maxJobs} jobs`;
}

/** Empty when the search repeats its parent on the same rows with the same code. */
function whatChanged(parent: WarmStartCandidate, wanted: WantedSearch): string[] {
  const changed: string[] = [];
  if (parent.dataHash === null || parent.dataHash !== wanted.dataHash) changed.push("data");
  if (parent.codeHash !== wanted.codeHash || program(parent) !== program(wanted))
    changed.push("code");
  if (parent.image !== wanted.image) changed.push("image");
  return changed;
}

const program = ({ staticHyperparameters }: Search): string | undefined =>
  ownValue(staticHyperparameters, "sagemaker_program");
