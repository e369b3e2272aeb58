/** Finds and deletes what cycles left in S3 that no version needs any more, and copies of versions that were collected. */
import type { S3Client } from "@aws-sdk/client-s3";
import { heartbeat, log } from "@temporalio/activity";
import type pg from "pg";
import { s3Keys } from "../fleet/names.js";
import { servedCopy, storedPart, type StoredPart } from "../fleet/stored-part.js";
import {
  endedCycles,
  keptVersionPages,
  markCycleCollected,
  readCollected,
  readCollectible,
  readOwners,
  readSharedJobs,
  whileEnded,
  type Cutoff,
  type EndedCycle,
} from "./ledger/collection.js";
import type { StageRef, VersionRef } from "./ledger/publications.js";
import { deleteObjects, objectPages, type ListedObject } from "./object-pages.js";

export interface Store {
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly bucket: string;
}

/** Objects that go. */
export interface Weight {
  readonly count: number;
  readonly bytes: number;
}

export interface Sweep extends Cutoff {
  /** Nothing is deleted, and what `markCollected` would mark counts as marked. */
  readonly dryRun: boolean;
}

export interface CycleWeights {
  readonly datasets: Weight;
  readonly artifacts: Weight;
}

type Kind = StoredPart["kind"];

/** What is kept goes by the ledger: a folder of a cycle that it does not know is left alone. */
export async function sweepCycles(store: Store, sweep: Sweep): Promise<CycleWeights> {
  const { fleet, retention, now } = sweep;
  const { artifactsSeconds, datasetsSeconds } = retention;
  const tally = { dataset: { count: 0, bytes: 0 }, artifact: { count: 0, bytes: 0 } };
  const before = (seconds: number) => new Date(now.getTime() - seconds * 1000);
  const youngest = before(Math.min(artifactsSeconds, datasetsSeconds));
  for (const cycle of await endedCycles(store.ledger, fleet, youngest)) {
    const due = new Set<Kind>([
      ...(cycle.endedAt <= before(datasetsSeconds) ? (["dataset"] as const) : []),
      ...(cycle.endedAt <= before(artifactsSeconds) ? (["artifact"] as const) : []),
    ]);
    const keepsShared = await hasKept(store.ledger, sweep, cycle);
    const jobs = await readSharedJobs(store.ledger, { fleet, cycle: cycle.cycle });
    const sharedJobs = new Set([...jobs.preprocessors, ...(keepsShared ? jobs.sharded : [])]);
    const sweptCycle: SweptCycle = { ...cycle, due, sharedJobs, keepsShared };
    for await (const page of objectPages(store.s3, store.bucket, s3Keys.cycle(fleet, cycle.cycle)))
      await sweepPage(store, sweep, sweptCycle, page, tally);
    heartbeat(cycle.cycle);
  }
  return { datasets: tally.dataset, artifacts: tally.artifact };
}

interface SweptCycle extends EndedCycle {
  readonly due: ReadonlySet<Kind>;
  readonly sharedJobs: ReadonlySet<string>;
  /** A version of the cycle is kept, and with it what describes the rows of all. */
  readonly keepsShared: boolean;
}

type Tally = Record<Kind, { count: number; bytes: number }>;

async function sweepPage(
  store: Store,
  sweep: Sweep,
  cycle: SweptCycle,
  page: readonly ListedObject[],
  tally: Tally,
): Promise<void> {
  const { fleet } = sweep;
  const parts = page.flatMap((object) => {
    const part = storedPart(fleet, cycle.cycle, object.key);
    return part !== null && cycle.due.has(part.kind) ? [{ ...object, part }] : [];
  });
  if (parts.length === 0) return;
  const owners = await keptOwners(store, sweep, cycle, parts);
  const going = parts.filter((object) => !isKept(store, cycle, owners, object));
  for (const kind of cycle.due) {
    const objects = going.filter(({ part }) => part.kind === kind);
    if (objects.length === 0) continue;
    const isDone = sweep.dryRun || (await removeWhileEnded(store, sweep, cycle, kind, objects));
    if (!isDone) continue;
    tally[kind].count += objects.length;
    tally[kind].bytes += objects.reduce((sum, { size }) => sum + size, 0);
  }
}

/** False when the cycle was opened again since it was looked at: all of it stays. */
async function removeWhileEnded(
  { ledger, s3, bucket }: Store,
  { fleet, now }: Sweep,
  { cycle, endedAt }: SweptCycle,
  kind: Kind,
  objects: readonly OwnedObject[],
): Promise<boolean> {
  const ended = { fleet, cycle, endedAt };
  const remove = () => deleteObjects(s3, bucket, objects);
  if (!objects.some(isMadeByJob)) {
    if (!(await whileEnded(ledger, ended, remove))) return false;
  } else {
    // On record before it is done: an attempt that dies in the middle of the page leaves no cycle that could be run again.
    if (!(await markCycleCollected(ledger, ended, now))) return false;
    await remove();
  }
  log.info("objects collected", { fleet, cycle, kind, objects: objects.length });
  return true;
}

type OwnedObject = ListedObject & { readonly part: StoredPart };

/** The cycle run again would find the job by its name, completed, and not what it has made. */
const isMadeByJob = ({ part }: OwnedObject): boolean => part.kind === "artifact" || part.byJob;

interface KeptOwners {
  readonly customers: ReadonlySet<string>;
  readonly jobs: ReadonlySet<string>;
  readonly uris: ReadonlySet<string>;
}

async function keptOwners(
  { ledger, bucket }: Store,
  sweep: Sweep,
  { cycle }: SweptCycle,
  objects: readonly OwnedObject[],
): Promise<KeptOwners> {
  const unique = (names: readonly (string | null)[]) => [
    ...new Set(names.filter((name) => name !== null)),
  ];
  const owners = await readOwners(
    ledger,
    { fleet: sweep.fleet, cycle },
    {
      customerKeys: unique(objects.map(({ part }) => part.customerKey)),
      jobNames: unique(objects.map(({ part }) => (part.kind === "artifact" ? part.jobName : null))),
      uris: objects.map(({ key }) => `s3://${bucket}/${key}`),
    },
  );
  const kept = await withoutGoing(ledger, sweep, owners);
  return {
    customers: new Set(kept.map(({ customerKey }) => customerKey)),
    jobs: new Set(kept.map(({ trainingJobName }) => trainingJobName)),
    uris: new Set(kept.map(({ artifactUri }) => artifactUri)),
  };
}

/** In a dry run, those that would not be marked. */
async function withoutGoing<Version extends VersionRef>(
  ledger: pg.Pool,
  sweep: Sweep,
  versions: readonly Version[],
): Promise<readonly Version[]> {
  if (!sweep.dryRun || versions.length === 0) return versions;
  const keys = [...new Set(versions.map(({ customerKey }) => customerKey))];
  const going = await readCollectible(ledger, sweep, keys);
  const names = new Set(going.map(nameOf));
  return versions.filter((version) => !names.has(nameOf(version)));
}

const nameOf = ({ customerKey, version }: VersionRef): string => `${customerKey}/${version}`;

async function hasKept(ledger: pg.Pool, sweep: Sweep, { cycle }: EndedCycle): Promise<boolean> {
  for await (const page of keptVersionPages(ledger, { fleet: sweep.fleet, cycle }))
    if ((await withoutGoing(ledger, sweep, page)).length > 0) return true;
  return false;
}

function isKept(
  { bucket }: Store,
  { sharedJobs, keepsShared }: SweptCycle,
  { customers, jobs, uris }: KeptOwners,
  { key, part }: OwnedObject,
): boolean {
  if (uris.has(`s3://${bucket}/${key}`)) return true;
  if (part.kind === "artifact" && part.jobName !== null) {
    const { jobName } = part;
    return jobs.has(jobName) || sharedJobs.has(jobName);
  }
  return part.customerKey === null ? keepsShared : customers.has(part.customerKey);
}

/** A stage's own copies: what may serve again is copied anew when it is there no more. */
export async function sweepCopies(
  store: Store,
  sweep: Sweep,
  { fleet, stage }: StageRef,
): Promise<Weight> {
  const weight = { count: 0, bytes: 0 };
  for await (const page of objectPages(store.s3, store.bucket, s3Keys.stage(fleet, stage))) {
    const copies = page.flatMap((object) => {
      const copy = servedCopy(fleet, stage, object.key);
      return copy === null ? [] : [{ ...object, ...copy }];
    });
    if (copies.length === 0) continue;
    const names = new Set((await collectedOf(store.ledger, sweep, copies)).map(nameOf));
    const going = copies.filter((copy) => names.has(nameOf(copy)));
    if (!sweep.dryRun) await deleteObjects(store.s3, store.bucket, going);
    weight.count += going.length;
    weight.bytes += going.reduce((sum, { size }) => sum + size, 0);
  }
  return weight;
}

/** Asked again for each page, right before it is deleted; who is marked stays marked. */
async function collectedOf(
  ledger: pg.Pool,
  sweep: Sweep,
  versions: readonly VersionRef[],
): Promise<VersionRef[]> {
  const marked = await readCollected(ledger, sweep.fleet, versions);
  if (!sweep.dryRun) return marked;
  const keys = [...new Set(versions.map(({ customerKey }) => customerKey))];
  return [...marked, ...(await readCollectible(ledger, sweep, keys))];
}
