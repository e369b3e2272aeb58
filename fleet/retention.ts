/** Decides which versions of a customer's model are no longer needed, and which customers have left for good. */
import { durationText, secondsOf } from "./duration.js";
import {
  longestWaySeconds,
  RETENTION_DEFAULTS,
  type RetentionSpec,
  type WayParts,
} from "./retention.schema.js";
import type { RecordedState } from "./way-back.js";

/** What a fleet declares, with nothing left open. */
export interface Retention {
  readonly artifactsSeconds: number;
  readonly datasetsSeconds: number;
  readonly versions: number;
  readonly retire: { readonly afterSeconds: number; readonly atMost: number } | null;
}

/** A fleet that declares nothing keeps its artifacts as long as a version of it may be on its way, or longer. */
export function retentionOf(
  spec: WayParts & { readonly retention?: RetentionSpec | undefined },
): Retention {
  const { artifacts, datasets, versions, retire } = spec.retention ?? {
    ...RETENTION_DEFAULTS,
    retire: undefined,
  };
  return {
    artifactsSeconds: Math.max(secondsOf(artifacts), longestWaySeconds(spec)),
    datasetsSeconds: secondsOf(datasets),
    versions,
    retire:
      retire === undefined
        ? null
        : { afterSeconds: secondsOf(retire.after), atMost: retire.atMost },
  };
}

/** One version, as far as the ledger knows. */
export interface VersionStanding {
  readonly version: number;
  readonly state: RecordedState;
  /** When it was last registered, decided, published or withdrawn. Milliseconds since 1970. */
  readonly changedAt: number;
  /** Where it was published. */
  readonly stages: readonly {
    readonly stage: string;
    readonly serves: boolean;
    readonly verified: boolean;
  }[];
  /** Stages are before it, its cycle runs, or a cycle that runs compares with it. */
  readonly isWanted: boolean;
}

export interface CustomerStanding {
  readonly versions: readonly VersionStanding[];
  /** One of them is being withdrawn: any other may be the way back. */
  readonly isLeaving: boolean;
  /** The customer was retired and has not come back: nobody goes back to any of them. */
  readonly isGone: boolean;
}

/**
 * The versions whose artifacts may go: none that serves, waits or is on its way, none that a stage may still go back to,
 * and none that was needed within the retention.
 */
export function versionsToCollect(
  { versions, isLeaving, isGone }: CustomerStanding,
  retention: Pick<Retention, "versions" | "artifactsSeconds">,
  now: number,
): number[] {
  if (isLeaving) return [];
  const kept = isGone ? new Set<number>() : waysBack(versions, retention.versions);
  const until = now - retention.artifactsSeconds * 1000;
  return versions
    .filter(
      ({ version, state, changedAt, stages, isWanted }) =>
        state !== "pending" &&
        state !== "serving" &&
        !isWanted &&
        !stages.some(({ serves }) => serves) &&
        !kept.has(version) &&
        changedAt <= until,
    )
    .map(({ version }) => version);
}

/** In each stage what serves and the newest that may serve there again; and the newest that are approved. */
function waysBack(versions: readonly VersionStanding[], count: number): ReadonlySet<number> {
  const approved = versions.filter(
    ({ state }) => state === "approved" || state === "serving" || state === "retired",
  );
  const kept = new Set(newest(approved, count + 1));
  const stages = new Set(versions.flatMap((one) => one.stages.map(({ stage }) => stage)));
  for (const name of stages) {
    const verified = approved.filter(({ stages: published }) =>
      published.some(({ stage, serves, verified: answered }) =>
        stage === name ? answered && !serves : false,
      ),
    );
    for (const version of newest(verified, count)) kept.add(version);
  }
  return kept;
}

const newest = (versions: readonly VersionStanding[], count: number): number[] =>
  versions
    .map(({ version }) => version)
    .sort((a, b) => b - a)
    .slice(0, count);

/** A state in which the registry's version was never approved, or is so no more. */
export const isUnapproved = (state: RecordedState): boolean =>
  state === "denied" ||
  state === "rejected" ||
  state === "superseded" ||
  state === "expired" ||
  state === "withdrawn";

/** A customer whom a model serves, and of whom the newest export had no rows. */
export interface AbsentCustomer {
  readonly customerKey: string;
  /** When the first cycle began whose export lacked it. Milliseconds since 1970. */
  readonly absentSince: number;
  /** A version of it is pending, on its way, or being withdrawn. */
  readonly isBusy: boolean;
}

export interface Attendance {
  /** Customers whom a model serves. */
  readonly served: number;
  /** Of those, without rows in the newest export. */
  readonly absent: number;
  /** Rows of the newest export. */
  readonly newestRows: number;
}

/**
 * Why nobody is retired although some are missing, as a sentence; null when nothing is wrong. One customer may always
 * leave: of a small fleet any share would be too large.
 */
export function refusalOfRetirement(
  { served, absent, newestRows }: Attendance,
  { atMost }: Pick<NonNullable<Retention["retire"]>, "atMost">,
): string | null {
  if (absent === 0) return null;
  if (newestRows === 0)
    return "the newest export has no rows at all, so it does not tell who has left";
  const most = Math.max(1, Math.floor(atMost * served));
  if (absent <= most) return null;
  return (
    `${absent} of ${served} customers with a model are missing from the newest export, and retention.retire.atMost ` +
    `${atMost} allows ${most}: see whether the export is broken; if they have left, raise atMost`
  );
}

/** Missing for the declared time, with nothing under way that might still serve it. */
export const isRetired = (
  { absentSince, isBusy }: AbsentCustomer,
  { afterSeconds }: Pick<NonNullable<Retention["retire"]>, "afterSeconds">,
  now: number,
): boolean => !isBusy && absentSince <= now - afterSeconds * 1000;

/** As it is shown. */
export const retentionWords = ({
  artifactsSeconds,
  datasetsSeconds,
  versions,
}: Retention): string =>
  `artifacts ${durationText(artifactsSeconds)}, datasets ${durationText(datasetsSeconds)}, ` +
  `${versions} version${versions === 1 ? "" : "s"} to go back to`;
