/** Decides which version serves a customer again when the one that serves is withdrawn. */

/** Of a release in the ledger. */
export type RecordedState =
  | "pending"
  | "approved"
  | "denied"
  | "serving"
  | "rejected"
  | "retired"
  | "superseded"
  | "expired"
  | "withdrawn";

export interface RecordedVersion {
  readonly version: number;
  readonly state: RecordedState;
  /** It has answered through this stage's endpoint as it did in training. */
  readonly verified: boolean;
  /** It is the one that the stage serves. */
  readonly serves: boolean;
  /** Retention has taken its artifact. */
  readonly collected?: boolean;
}

export interface WayBack {
  /** The version that shall no longer serve. */
  readonly version: number;
  /** The one that was asked for instead; by default the newest that may. */
  readonly to?: number | undefined;
  /** Those that were tried, and did not answer as they should. */
  readonly passedOver: readonly number[];
  /** The customer has left: nothing serves instead. */
  readonly retires?: boolean;
}

/**
 * The version that serves next, null when none may: then the customer's model is removed. A version that was asked
 * for and failed leaves the choice to the rule, since the denied one must not serve on.
 */
export function versionToGoBackTo(
  versions: readonly RecordedVersion[],
  { version, to, passedOver, retires = false }: WayBack,
): number | null {
  if (retires) return null;
  const possible = versions
    .filter((other) => other.version !== version && mayServeAgain(other))
    .map((other) => other.version)
    .filter((other) => !passedOver.includes(other));
  if (to !== undefined && possible.includes(to)) return to;
  return possible.length === 0 ? null : Math.max(...possible);
}

/** Why the version cannot be withdrawn (or not to that one), as a sentence; null when it can. */
export function refusalOfWithdrawal(
  versions: readonly RecordedVersion[],
  { version, to }: Pick<WayBack, "version" | "to">,
): string | null {
  const leaving = versions.find((one) => one.version === version);
  if (leaving === undefined) return `there is no version ${version}`;
  if (leaving.state === "pending")
    return `version ${version} waits for a decision and does not serve: deny it`;
  if (!leaving.serves && isOver(leaving.state))
    return `version ${version} does not serve: it is ${leaving.state} already`;
  if (to === undefined) return null;
  if (to === version) return `version ${version} is the one that is to leave`;
  const next = versions.find((one) => one.version === to);
  if (next === undefined) return `there is no version ${to} to go back to`;
  return mayServeAgain(next) ? null : `version ${to} cannot serve again: ${whyNot(next)}`;
}

/** As it is told to whoever wanted the version published. */
export function withdrawalWords({
  by,
  because,
  retires = false,
}: {
  readonly by: string;
  readonly because: string | null;
  readonly retires?: boolean;
}): string {
  const why = because === null || because === "" ? "" : `: ${because}`;
  return retires ? `retired${why}` : `withdrawn: denied by ${by}${why}`;
}

/** Approved on record, and seen to answer well in this stage. */
const mayServeAgain = ({ state, verified, collected = false }: RecordedVersion): boolean =>
  verified && !collected && (state === "retired" || state === "approved" || state === "serving");

const isOver = (state: RecordedState): boolean =>
  state === "denied" || state === "superseded" || state === "expired";

/** As it is told to whoever wants the version to serve. */
export const COLLECTED_WORDS =
  "its artifact is gone: modelfleet gc has collected it, as the fleet's retention says";

function whyNot({ state, verified, collected = false }: RecordedVersion): string {
  if (collected) return COLLECTED_WORDS;
  switch (state) {
    case "pending":
      return "nobody has approved it";
    case "denied":
      return "it was denied";
    case "withdrawn":
      return "it was withdrawn";
    case "rejected":
      return "it was approved, but rejected when it was published";
    case "superseded":
      return "a newer version took its place before anybody decided";
    case "expired":
      return "nobody decided in time";
    case "approved":
    case "serving":
    case "retired":
      return verified ? "it may" : "it has never served in this stage";
  }
}
