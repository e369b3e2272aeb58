/** Takes a denied cohort out of service in pages: records the denial, puts back what serves instead, tidies up. */
import { DeleteObjectsCommand } from "@aws-sdk/client-s3";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { log } from "@temporalio/activity";
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import { FAILURES } from "../fleet/errors.js";
import { LIMITS } from "../fleet/limits.js";
import { endpointName, s3Keys, targetModel } from "../fleet/names.js";
import {
  deny as denyRelease,
  membersWithdrawn,
  workflowIds,
  type Decision,
} from "../workflows/messages.js";
import { permanent } from "./application-failure.js";
import { atStage, type AtStage, type StageReach } from "./at-stage.js";
import { waitWhileClosed } from "./closed-stage.js";
import type { CohortPage } from "./cohort-publication.js";
import { inParallel } from "./in-parallel.js";
import type { Answered, CohortPlace } from "./ledger/cohort-members.js";
import {
  countWithdrawals,
  readLeaving,
  readLeftArtifacts,
  readVersionsOf,
  recordCohortWithdrawal,
  recordDelayFor,
  recordNothingToMoveFor,
  recordPageWayBack,
  recordRemovedFor,
  stagesOfCohort,
  type Move,
} from "./ledger/cohort-withdrawals.js";
import { isServedAnywhere, learnSizes, readCohort, type Cohort } from "./ledger/cohorts.js";
import { cohortUnderWay } from "./ledger/promotions.js";
import type { StageRef } from "./ledger/publications.js";
import type { CustomerVersion } from "./ledger/withdrawals.js";
import { withHeartbeat } from "./patience.js";
import { deletePointer, putPointer } from "./pointers.js";
import { isRejectedInRegistry, rejectInRegistry } from "./registry-decision.js";
import { restoreArtifact, versionToServe } from "./restore-artifact.js";
import { copyArtifact, heldVersion } from "./served-artifacts.js";
import { settleWithdrawal } from "./settle-withdrawal.js";
import { tellDelayed } from "./tell-delayed.js";
import type { TellDependencies } from "./tell-once.js";
import { verifyModel } from "./verification.js";

export interface CohortWithdrawalDependencies extends StageReach, TellDependencies {
  /** Where the model registry is: the home account's. */
  readonly sagemaker: SageMakerClient;
  readonly temporal: Client;
}

/** The stage's clients, and the home account's registry. */
type StageDependencies = AtStage<CohortWithdrawalDependencies> & {
  readonly registry: SageMakerClient;
};

const reach = async (
  dependencies: CohortWithdrawalDependencies,
  place: StageRef,
): Promise<StageDependencies> => ({
  ...(await atStage(dependencies, place)),
  registry: dependencies.sagemaker,
});

const OBJECTS_AT_A_TIME = 32;
/** Each may keep one worker of the container busy with loading. */
const MODELS_AT_A_TIME = 8;
/** AWS API, DeleteObjects: keys of one request. */
const OBJECTS_PER_DELETION = 1000;

export const createCohortWithdrawalActivities = (dependencies: CohortWithdrawalDependencies) => ({
  /**
   * Rejects the cohort in the registry, and then every member in the ledger: from then on nobody publishes one, and
   * its release carries it into no further stage. Returns the stages that it has reached, the last of promotion first.
   * Throws WithdrawalRefused, with nothing changed, when there is nothing to withdraw. Heartbeats.
   */
  recordCohortWithdrawal: (
    input: CohortPlace & { readonly decision: Decision },
  ): Promise<{ stages: string[] }> => withHeartbeat(() => deny(dependencies, input)),

  /**
   * Lets the versions to go back to serve the next members' customers. Before the endpoint is refreshed a sample of
   * the page is asked, and all of it moves or none; after, each is asked, and one that does not answer is passed
   * over. Returns, with the last page, how many members still serve. Heartbeats.
   */
  settleCohortPage: (
    page: CohortPage & { readonly refreshed: boolean },
  ): Promise<{ after: string | null; open: number }> =>
    withHeartbeat(async () => settlePage(await reach(dependencies, page), page)),

  /** Tells the withdrawal what became of the members, and people of those that serve on. Heartbeats. */
  answerCohortWithdrawal: (
    input: CohortPlace & { readonly withdrawWorkflowId: string; readonly because: string | null },
  ): Promise<void> => withHeartbeat(() => answer(dependencies, input)),

  /**
   * Takes artifacts away once nobody is sent to them any more, so that they cannot be loaded again. A stage elsewhere that
   * is closed is tried again: nothing else would take them. Heartbeats.
   */
  removeCohortArtifacts: (page: CohortPage): Promise<{ after: string | null }> =>
    withHeartbeat(() =>
      waitWhileClosed(dependencies, page, async () =>
        removePage(await reach(dependencies, page), page),
      ),
    ),
});
export type CohortWithdrawalActivities = ReturnType<typeof createCohortWithdrawalActivities>;

async function deny(
  dependencies: CohortWithdrawalDependencies,
  { decision, ...place }: CohortPlace & { readonly decision: Decision },
): Promise<{ stages: string[] }> {
  const { ledger, sagemaker } = dependencies;
  const { fleet, version } = place;
  const cohort = await readCohort(ledger, place);
  const reached = await stagesOfCohort(ledger, place);
  const stages = reached.length === 0 ? [place.stage] : reached;
  // On record already, by an earlier attempt or an earlier run: it was not refused then.
  if (cohort.state === "withdrawn") {
    await tellRelease(dependencies, cohort, decision);
    return { stages };
  }
  const refused = await refusalOf(ledger, cohort);
  if (refused !== null)
    throw permanent(FAILURES.withdrawalRefused, {
      message: `version ${version} of all customers of fleet "${fleet}" ${refused}`,
      hint: `modelfleet history ${fleet} lists the cycles with their cohorts`,
    });
  await rejectInRegistry(sagemaker, cohort.modelPackageArn, decision);
  await recordCohortWithdrawal(ledger, {
    ...{ fleet, version, stages },
    by: decision.by,
    because: decision.note ?? null,
    workflowId: workflowIds.withdrawCohort(fleet, version),
  });
  await learnSizes(ledger, ["releases", "publications", "withdrawals"]);
  await tellRelease(dependencies, cohort, decision);
  return { stages };
}

/** One that is on its way through the stages goes no further; one that asked for this has ended. */
async function tellRelease(
  { ledger, temporal }: CohortWithdrawalDependencies,
  cohort: Cohort,
  { by, note = "it is being withdrawn" }: Decision,
): Promise<void> {
  const workflowId = await cohortUnderWay(ledger, cohort);
  if (workflowId === null) return;
  try {
    await temporal.workflow.getHandle(workflowId).signal(denyRelease, { by, note });
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

async function refusalOf(
  ledger: CohortWithdrawalDependencies["ledger"],
  cohort: Cohort,
): Promise<string | null> {
  const { state } = cohort;
  switch (state) {
    case "pending":
      return "waits for a decision: deny it";
    case "superseded":
    case "expired":
      // A stage that takes what nobody has approved may serve it all the same.
      return (await isServedAnywhere(ledger, cohort)) ? null : `does not serve: it is ${state}`;
    // Denied while it was being published: some of its members may serve.
    case "denied":
    case "approved":
    case "published":
    case "withdrawn":
      return null;
  }
}

async function settlePage(
  dependencies: StageDependencies,
  { after, refreshed, ...place }: CohortPage & { readonly refreshed: boolean },
): Promise<{ after: string | null; open: number }> {
  const { ledger } = dependencies;
  const keys = await readLeaving(ledger, place, { after, limit: LIMITS.cohortPage });
  const versions = await readVersionsOf(ledger, place, keys);
  const isServed = (key: string): boolean =>
    versions.get(key)?.some((one) => one.serves && one.version === place.version) ?? false;
  await recordNothingToMoveFor(
    ledger,
    place,
    keys.filter((key) => !isServed(key)),
  );
  const leaving = keys.filter(isServed);
  await (refreshed
    ? settleEach(dependencies, place, leaving)
    : moveTogether(dependencies, place, leaving, versions));
  const isLast = keys.length < LIMITS.cohortPage;
  const { open } = isLast ? await countWithdrawals(ledger, place) : { open: 0 };
  log.info("cohort withdrawn", { ...place, of: keys.length, refreshed, open });
  return { after: isLast ? null : (keys.at(-1) ?? null), open };
}

type Next = NonNullable<Move["next"]> &
  Pick<CustomerVersion, "artifactUri" | "verificationRows" | "predictions">;

interface Candidate {
  readonly customerKey: string;
  /** Null: no other version may serve. */
  readonly next: Next | null;
}

/** What cannot be done so is left open: after a refresh each is looked at by itself. */
async function moveTogether(
  dependencies: StageDependencies,
  place: CohortPlace,
  keys: readonly string[],
  versions: ReadonlyMap<string, readonly CustomerVersion[]>,
): Promise<void> {
  const candidates = keys.map((customerKey) => candidateOf(customerKey, versions));
  const accepted = await acceptedByRegistry(dependencies, candidates);
  const ready = await inPlace(dependencies, place, accepted);
  const { verified, because } = await askSample(dependencies, place, ready);
  const moves = because === null ? ready : ready.filter(({ next }) => next === null);
  if (because !== null) await recordDelayFor(dependencies.ledger, place, keys, because);
  await recordPageWayBack(dependencies.ledger, place, { moves, verified }, (page) =>
    inParallel(OBJECTS_AT_A_TIME, page, ({ customerKey, next }) =>
      next === null
        ? deletePointer(dependencies, place, customerKey)
        : putPointer(dependencies, place, {
            ...{ customerKey, ...next },
            address: {
              endpointName: endpointName(place.fleet, place.stage),
              targetModel: next.targetModel,
            },
          }),
    ),
  );
}

function candidateOf(
  customerKey: string,
  versions: ReadonlyMap<string, readonly CustomerVersion[]>,
): Candidate {
  const next = versionToServe(versions.get(customerKey) ?? []);
  if (next === null) return { customerKey, next };
  return {
    customerKey,
    next: { ...next, targetModel: next.targetModel ?? targetModel(customerKey, next.version) },
  };
}

/** Versions of one cohort share their package, so there are few to ask about. */
async function acceptedByRegistry(
  { registry }: StageDependencies,
  candidates: readonly Candidate[],
): Promise<Candidate[]> {
  const packages = new Set(candidates.flatMap(({ next }) => next?.modelPackageArn ?? []));
  const rejected = new Set<string>();
  await inParallel(MODELS_AT_A_TIME, [...packages], async (arn) => {
    if (await isRejectedInRegistry(registry, arn)) rejected.add(arn);
  });
  return candidates.filter(({ next }) => next === null || !rejected.has(next.modelPackageArn));
}

/** Those whose artifact is where the endpoint loads it from: it is, unless somebody has tidied up. */
async function inPlace(
  dependencies: StageDependencies,
  place: CohortPlace,
  candidates: readonly Candidate[],
): Promise<Candidate[]> {
  const missing = new Set<string>();
  await inParallel(OBJECTS_AT_A_TIME, candidates, async ({ customerKey, next }) => {
    if (next === null || (await heldVersion(dependencies, place, next.targetModel)) !== null)
      return;
    if (!(await copyArtifact(dependencies, place, next))) missing.add(customerKey);
  });
  return candidates.filter(({ customerKey }) => !missing.has(customerKey));
}

/** Its share of the sample; at least one model of the page. */
async function askSample(
  { ledger, runtime }: StageDependencies,
  place: CohortPlace,
  candidates: readonly Candidate[],
): Promise<{ verified: Record<string, Answered>; because: string | null }> {
  const { members } = await readCohort(ledger, place);
  const every = Math.max(1, Math.ceil(members / LIMITS.cohortSample));
  const ready = candidates.flatMap(({ customerKey, next }) =>
    next === null ? [] : [{ customerKey, next }],
  );
  const sample = ready.filter((_candidate, index) => index % every === 0);
  const verified: Record<string, Answered> = {};
  let because: string | null = null;
  await inParallel(MODELS_AT_A_TIME, sample, async ({ customerKey, next }) => {
    const verdict = await verifyModel(runtime, {
      endpointName: endpointName(place.fleet, place.stage),
      targetModel: next.targetModel,
      rows: next.verificationRows,
      predictions: next.predictions,
    });
    if (verdict.kind === "rejected") because = `${customerKey}: ${verdict.because}`;
    else {
      const { offline, served, latencyMs } = verdict;
      verified[customerKey] = { offline, served, latencyMs };
    }
  });
  return { verified, because };
}

/** As single withdrawals are settled after a refresh. Who waits for one of these by itself is told, too. */
async function settleEach(
  dependencies: StageDependencies,
  place: CohortPlace,
  keys: readonly string[],
): Promise<void> {
  const { fleet, version } = place;
  await inParallel(MODELS_AT_A_TIME, keys, async (customerKey) => {
    const withdrawWorkflowId = workflowIds.withdrawModel(fleet, customerKey, version);
    const withdrawal = { customerKey, version, withdrawWorkflowId };
    // Every turn that does not settle it passes one version over.
    for (let turn = 0; turn < LIMITS.waysBack; turn++) {
      const { restored } = await restoreArtifact(dependencies, place, customerKey);
      if (await settleWithdrawal(dependencies, place, withdrawal, restored)) return;
    }
  });
}

async function answer(
  dependencies: CohortWithdrawalDependencies,
  {
    withdrawWorkflowId,
    because,
    ...place
  }: CohortPlace & { readonly withdrawWorkflowId: string; readonly because: string | null },
): Promise<void> {
  const { ledger, temporal } = dependencies;
  const counts = await countWithdrawals(ledger, place);
  const { stage, version } = place;
  const why = because ?? counts.because;
  const untold =
    counts.open === 0 ? "" : await tellDelayed(dependencies, place, why ?? "it is not known why");
  const told = { ...counts, stage, version, because: why === null ? null : why + untold };
  try {
    await temporal.workflow.getHandle(withdrawWorkflowId).signal(membersWithdrawn, told);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

async function removePage(
  { ledger, s3, bucket }: StageDependencies,
  { after, ...place }: CohortPage,
): Promise<{ after: string | null }> {
  const page = await readLeftArtifacts(ledger, place, { after, limit: OBJECTS_PER_DELETION });
  if (page.length === 0) return { after: null };
  const { Errors = [] } = await s3.send(
    new DeleteObjectsCommand({
      Bucket: bucket,
      Delete: {
        Quiet: true,
        Objects: page.map((one) => {
          const target = one.targetModel ?? targetModel(one.customerKey, place.version);
          return { Key: s3Keys.artifact({ ...place, targetModel: target }) };
        }),
      },
    }),
  );
  const [error] = Errors;
  if (error !== undefined)
    throw new Error(`S3 did not delete ${error.Key ?? "?"}: ${error.Message ?? error.Code ?? "?"}`);
  const keys = page.map(({ customerKey }) => customerKey);
  await recordRemovedFor(ledger, place, keys);
  return { after: page.length < OBJECTS_PER_DELETION ? null : (keys.at(-1) ?? null) };
}
