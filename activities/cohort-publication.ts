/** Publishes a cohort in pages: its artifacts are copied, a sample is asked, its customers are pointed to it. */
import { activityInfo, log } from "@temporalio/activity";
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import { LIMITS } from "../fleet/limits.js";
import { endpointName } from "../fleet/names.js";
import { promotionStages } from "../fleet/stages.js";
import { cohortPublished, type CohortPublished } from "../workflows/messages.js";
import { refusalOf } from "./artifacts.js";
import { atStage, type AtStage, type StageReach } from "./at-stage.js";
import { waitWhileClosed } from "./closed-stage.js";
import { inParallel } from "./in-parallel.js";
import {
  readMemberKeys,
  readRejectedElsewhere,
  recordPageServing,
  recordPublished,
  recordSample,
  rejectNamed,
  rejectRemaining,
  sampleMembers,
  type Answered,
  type CohortPlace,
  type LockedMember,
  type RejectedMember,
} from "./ledger/cohort-members.js";
import { learnSizes, readCohort, readStanding } from "./ledger/cohorts.js";
import {
  readAskedVersions,
  recordCopied,
  recordRejected,
  type AskedVersion,
} from "./ledger/publications.js";
import { readSpec } from "./ledger/specs.js";
import { withHeartbeat } from "./patience.js";
import { deletePointer, putPointer } from "./pointers.js";
import { copyArtifact } from "./served-artifacts.js";
import { copyCode } from "./served-code.js";
import type { TellDependencies } from "./tell-once.js";
import { verifyModel } from "./verification.js";

export interface CohortPublicationDependencies extends StageReach, TellDependencies {
  readonly temporal: Client;
}

type StageDependencies = AtStage<CohortPublicationDependencies>;

/** The next page begins after this member. */
export interface CohortPage extends CohortPlace {
  readonly after: string;
}

export interface PageReport {
  /** The last member of the page; null: it was the last page. */
  readonly after: string | null;
  /** The cohort has been denied: nothing more of it is published. */
  readonly stopped: boolean;
}

export type SampleVerdict =
  | { readonly kind: "sound" }
  /** Some of the sample do not answer as in training: each member is to be asked. */
  | { readonly kind: "doubtful" }
  /** None of it does. */
  | { readonly kind: "broken"; readonly because: string };

/** S3 bears thousands of requests a second on one prefix; beyond this one worker's processor is the limit. */
const OBJECTS_AT_A_TIME = 32;
/** Each may keep one worker of the container busy with loading. */
const VERIFICATIONS_AT_A_TIME = 8;

export const createCohortPublicationActivities = (dependencies: CohortPublicationDependencies) => ({
  /**
   * Puts the artifacts of the next members where the endpoint loads its models from, under names of their own: no
   * customer notices yet. A member whose artifact is gone, or that a newer version has overtaken, is rejected in the
   * ledger; one that another stage has rejected is left out. Heartbeats.
   */
  copyCohortPage: (page: CohortPage): Promise<PageReport> =>
    inStage(dependencies, page, STOPPED, (there) => copyPage(there, page)),

  /**
   * Asks a sample of the members, spread over the cohort, for the predictions that training made. Those that answer
   * otherwise are rejected in the ledger. Of a cohort that has been denied nobody is asked. Heartbeats.
   */
  verifyCohort: (place: CohortPlace): Promise<SampleVerdict> =>
    inStage(dependencies, place, { kind: "sound" }, (there) => verifySample(there, place)),

  /**
   * Lets the next members serve, and points their customers to them; with `verify` only those that answer as in
   * training. Whoever was denied meanwhile does not begin to serve. Heartbeats.
   */
  pointCohortPage: (page: CohortPage & { readonly verify: boolean }): Promise<PageReport> =>
    inStage(
      dependencies,
      page,
      // An attempt that died may have moved pointers of the page and not the ledger: those are put back.
      activityInfo().attempt === 1 ? STOPPED : null,
      (there) => pointPage(there, page),
    ),

  /**
   * Tells the release what became of the members. With a reason why the cohort cannot be published, those that do
   * not serve yet are rejected with it. Heartbeats.
   */
  answerCohort: (
    input: CohortPlace & { readonly releaseWorkflowId: string; readonly because: string | null },
  ): Promise<void> => withHeartbeat(() => answer(dependencies, input)),
});
export type CohortPublicationActivities = ReturnType<typeof createCohortPublicationActivities>;

const STOPPED: PageReport = { after: null, stopped: true };

/**
 * A stage elsewhere that is closed holds the cohort up, and rejects none of it. Once the cohort is denied that stage does
 * not keep it from leaving the others: `stopped` is the answer, before the stage is reached; null: it has to be reached.
 */
const inStage = <T>(
  dependencies: CohortPublicationDependencies,
  place: CohortPlace,
  stopped: T | null,
  work: (there: StageDependencies) => Promise<T>,
): Promise<T> =>
  withHeartbeat(async () => {
    if (stopped !== null && !(await isOpen(dependencies, place))) return stopped;
    return waitWhileClosed(dependencies, place, async () =>
      work(await atStage(dependencies, place)),
    );
  });

/** Nobody has to have approved it where the stage asks for no approval. */
async function isOpen(
  { ledger }: Pick<StageReach, "ledger">,
  place: CohortPlace,
): Promise<boolean> {
  const { fleet, stage } = place;
  const { state, specHash } = await readCohort(ledger, place);
  if (state !== "pending") return state === "approved" || state === "published";
  const stages = promotionStages(await readSpec(ledger, { fleet, specHash }));
  return stages.find(({ name }) => name === stage)?.approval === "none";
}

const reportOf = (keys: readonly string[]): PageReport => ({
  after: keys.length < LIMITS.cohortPage ? null : (keys.at(-1) ?? null),
  stopped: false,
});

async function copyPage(
  dependencies: StageDependencies,
  { after, ...place }: CohortPage,
): Promise<PageReport> {
  const { ledger } = dependencies;
  const { fleet, stage, version } = place;
  const keys = await readMemberKeys(ledger, place, { after, limit: LIMITS.cohortPage });
  const failed = await readRejectedElsewhere(ledger, place, keys);
  // Approved since: it does not go on all the same.
  await rejectNamed(ledger, place, failed);
  const out = new Set(failed.map(({ customerKey }) => customerKey));
  const left = keys.filter((customerKey) => !out.has(customerKey));
  const asked = await readAskedVersions(
    ledger,
    place,
    left.map((customerKey) => ({ customerKey, version })),
  );
  const accepted = asked.filter(
    (member) => refusalOf(member) === null && member.publication?.state !== "serving",
  );
  // The rows come first: a copy that nobody knows of could not be taken away.
  await recordCopied(ledger, { fleet, stage }, accepted);
  for (const specHash of new Set(accepted.map((member) => member.specHash)))
    if (specHash !== null)
      await copyCode(dependencies, await readSpec(ledger, { fleet, specHash }));
  const rejected = asked.flatMap((member) => {
    const because = refusalOf(member);
    return because === null || isOver(member) ? [] : [{ ...member, because }];
  });
  await inParallel(OBJECTS_AT_A_TIME, accepted, async (member) => {
    const artifactUri = member.release?.artifactUri ?? "";
    if (await copyArtifact(dependencies, place, { ...member, artifactUri })) return;
    rejected.push({ ...member, because: `its artifact is gone: ${artifactUri} does not exist` });
  });
  await recordRejected(ledger, { fleet, stage }, rejected);
  log.info("cohort copied", { ...place, of: keys.length, rejected: rejected.length });
  return reportOf(keys);
}

/** Denied, by name or after its approval: that is on record, and no failed publication beside it. */
const isOver = ({ release }: AskedVersion): boolean =>
  release?.state === "denied" || release?.state === "withdrawn" || release?.state === "retired";

async function verifySample(
  dependencies: StageDependencies,
  place: CohortPlace,
): Promise<SampleVerdict> {
  const { ledger } = dependencies;
  await learnSizes(ledger, ["publications", "releases"]);
  const keys = await sampleMembers(ledger, place, LIMITS.cohortSample);
  const { answered, rejected } = await ask(dependencies, place, keys);
  await recordSample(ledger, place, answered);
  await rejectNamed(ledger, place, rejected);
  log.info("cohort sampled", { ...place, of: keys.length, rejected: rejected.length });
  const [first] = rejected;
  if (first === undefined) return { kind: "sound" };
  if (rejected.length < keys.length) return { kind: "doubtful" };
  const because = `none of ${keys.length} sampled models answers as in training; ${first.customerKey}: ${first.because}`;
  return { kind: "broken", because };
}

interface Verified {
  readonly answered: Readonly<Record<string, Answered>>;
  readonly rejected: readonly RejectedMember[];
}

async function ask(
  { ledger, runtime }: StageDependencies,
  place: CohortPlace,
  keys: readonly string[],
): Promise<Verified> {
  const answered: Record<string, Answered> = {};
  const rejected: RejectedMember[] = [];
  const { version } = place;
  const asked = keys.map((customerKey) => ({ customerKey, version }));
  const members = await readAskedVersions(ledger, place, asked);
  await inParallel(VERIFICATIONS_AT_A_TIME, members, async (member) => {
    const verdict = await verifyModel(runtime, {
      endpointName: endpointName(place.fleet, place.stage),
      targetModel: member.targetModel,
      rows: member.verificationRows,
      predictions: member.predictions,
    });
    const { customerKey } = member;
    if (verdict.kind === "rejected") rejected.push({ customerKey, because: verdict.because });
    else {
      const { offline, served, latencyMs } = verdict;
      answered[customerKey] = { offline, served, latencyMs };
    }
  });
  return { answered, rejected };
}

async function pointPage(
  dependencies: StageDependencies,
  { after, verify, ...place }: CohortPage & { readonly verify: boolean },
): Promise<PageReport> {
  const { ledger } = dependencies;
  const { modelPackageArn } = await readCohort(ledger, place);
  const isStopped = !(await isOpen(dependencies, place));
  const keys = await readMemberKeys(ledger, place, { after, limit: LIMITS.cohortPage });
  const verified = verify ? await verifyPage(dependencies, place, keys) : {};
  const { serving } = await recordPageServing(ledger, place, { keys, verified }, async (step) => {
    await putPointers(dependencies, place, step.serve, modelPackageArn);
    if (activityInfo().attempt > 1) await restorePointers(dependencies, place, step.leave);
  });
  log.info("cohort pointed to", { ...place, of: keys.length, serving });
  return isStopped ? STOPPED : reportOf(keys);
}

/** Those of the page that are ready. */
async function verifyPage(
  dependencies: StageDependencies,
  place: CohortPlace,
  keys: readonly string[],
): Promise<Readonly<Record<string, Answered>>> {
  const { version } = place;
  const asked = keys.map((customerKey) => ({ customerKey, version }));
  const standing = await readAskedVersions(dependencies.ledger, place, asked);
  const ready = standing.filter((member) => member.publication?.state === "copied");
  const readyKeys = ready.map(({ customerKey }) => customerKey);
  const { answered, rejected } = await ask(dependencies, place, readyKeys);
  await rejectNamed(dependencies.ledger, place, rejected);
  return answered;
}

const putPointers = (
  dependencies: StageDependencies,
  place: CohortPlace,
  members: readonly LockedMember[],
  modelPackageArn: string,
): Promise<void> =>
  inParallel(OBJECTS_AT_A_TIME, members, ({ customerKey, targetModel }) =>
    putPointer(dependencies, place, {
      ...{ customerKey, version: place.version, modelPackageArn },
      address: addressOf(place, targetModel),
    }),
  );

/** To what the ledger says serves. */
const restorePointers = (
  dependencies: StageDependencies,
  place: CohortPlace,
  members: readonly LockedMember[],
): Promise<void> =>
  inParallel(OBJECTS_AT_A_TIME, members, ({ customerKey, serving }) =>
    serving === null
      ? deletePointer(dependencies, place, customerKey)
      : putPointer(dependencies, place, {
          ...{ customerKey, ...serving },
          address: addressOf(place, serving.targetModel),
        }),
  );

/** A cohort is served by its fleet's one multi-model endpoint. */
const addressOf = ({ fleet, stage }: CohortPlace, targetModel: string | null) => ({
  endpointName: endpointName(fleet, stage),
  targetModel,
});

async function answer(
  { ledger, temporal }: CohortPublicationDependencies,
  {
    releaseWorkflowId,
    because,
    ...place
  }: CohortPlace & { readonly releaseWorkflowId: string; readonly because: string | null },
): Promise<void> {
  if (because !== null) await rejectRemaining(ledger, place, because);
  await recordPublished(ledger, place);
  const standing = await readStanding(ledger, place);
  const outcome: CohortPublished = {
    stage: place.stage,
    version: place.version,
    serving: standing.serving,
    rejected: standing.rejected,
    leftOut: standing.denied,
    because: because ?? standing.because,
  };
  log.info("cohort answered", { ...place, ...outcome });
  try {
    await temporal.workflow.getHandle(releaseWorkflowId).signal(cohortPublished, outcome);
  } catch (error) {
    // A release workflow that is gone needs no answer.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
