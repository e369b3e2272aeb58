/** Watches SageMaker's model registry for decisions that people make there, and has them carried out. */
import { setTimeout as delay } from "node:timers/promises";
import {
  BatchDescribeModelPackageCommand,
  DescribeModelPackageCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import { cancellationSignal, heartbeat, log } from "@temporalio/activity";
import {
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  type Client,
} from "@temporalio/client";
import { defineSearchAttributeKey } from "@temporalio/common";
import type pg from "pg";
import { callRate, LIMITS } from "../fleet/limits.js";
import { COHORT_KEY } from "../fleet/names.js";
import { registryChange } from "../fleet/registry-change.js";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import {
  approve,
  DEFAULT_PACE,
  deny,
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type Decision,
  type WatchRegistryInput,
  type WithdrawCohortInput,
} from "../workflows/messages.js";
import { inParallel } from "./in-parallel.js";
import {
  leaveRegistryWatch,
  learntInterval,
  showRegistryWatcher,
  watchedCohorts,
  watchedVersions,
  type Place,
  type WatchedVersion,
} from "./ledger/watched-versions.js";
import { approvalDescription } from "./model-package-request.js";
import { startWithdrawal } from "./start-withdrawal.js";
import { unlessThrottled } from "./unless-throttled.js";

export interface RegistryWatchDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly temporal: Client;
  /** Seconds between rounds. */
  readonly watchSeconds: number;
}

/** Rounds with nothing to watch after which the watcher leaves; the next registration wakes it again. */
const IDLE_ROUNDS = 20;
const CALLS_AT_A_TIME = 4;
const DECISIONS_AT_A_TIME = 16;
/** Then the activity ends, and its workflow starts it anew: a worker that stays too long is never replaced. */
const SHIFT_SECONDS = 60 * 60;

/** How far the rounds have come: each goes on where the one before ended. */
interface Progress {
  undecided: Place;
  serving: Place;
}

export const createRegistryWatchActivities = (dependencies: RegistryWatchDependencies) => ({
  /**
   * Runs long and heartbeats every few seconds. Returns idle when there has been nothing to watch for a while: the
   * workflow then completes, and the next registration wakes it again; and not idle after an hour.
   */
  async watchRegistry(place: WatchRegistryInput): Promise<{ idle: boolean }> {
    const { ledger, watchSeconds } = dependencies;
    const signal = cancellationSignal();
    const pulse = setInterval(() => heartbeat(), 2000);
    const endOfShift = Date.now() + SHIFT_SECONDS * 1000;
    const progress: Progress = { undecided: null, serving: null };
    try {
      for (let idle = 0; idle < IDLE_ROUNDS || !(await leaveRegistryWatch(ledger, place));) {
        signal.throwIfAborted();
        if (Date.now() > endOfShift) return { idle: false };
        await showRegistryWatcher(ledger, place);
        idle =
          ((await unlessThrottled("registry watcher", () =>
            round(dependencies, place, progress),
          )) ?? true)
            ? 0
            : idle + 1;
        await delay(watchSeconds * 1000, undefined, { signal });
      }
      return { idle: true };
    } finally {
      clearInterval(pulse);
    }
  },
});
export type RegistryWatchActivities = ReturnType<typeof createRegistryWatchActivities>;

/**
 * Those that wait for a decision come first, and leave one call to those that serve, which get what is left. Returns
 * whether there is anything to watch.
 */
async function round(
  dependencies: RegistryWatchDependencies,
  place: WatchRegistryInput,
  progress: Progress,
): Promise<boolean> {
  const calls = await callsOfRound(dependencies, place);
  const perCall = LIMITS.modelPackagesPerCall;
  const look = async (kind: keyof Progress, limit: number): Promise<number> => {
    const next = (after: Place) =>
      watchedVersions(dependencies.ledger, place, { kind, after, limit });
    let page = await next(progress[kind]);
    if (page.length === 0 && progress[kind] !== null) page = await next(null);
    await lookAt(dependencies, page);
    progress[kind] = page.length < limit ? null : (page.at(-1) ?? null);
    return page.length;
  };
  const cohorts = await watchedCohorts(dependencies.ledger, place);
  await lookAt(dependencies, cohorts);
  const undecided = await look("undecided", perCall * Math.max(1, calls - 1));
  const left = calls - Math.ceil(undecided / perCall);
  const serving = await look("serving", perCall * Math.max(1, left));
  return cohorts.length + undecided + serving > 0;
}

async function callsOfRound(
  { ledger, watchSeconds }: RegistryWatchDependencies,
  place: WatchRegistryInput,
): Promise<number> {
  const operation = "BatchDescribeModelPackage";
  const interval = await learntInterval(ledger, place, operation);
  const bears = interval === null ? callRate(operation).start : 1000 / interval;
  return Math.max(1, Math.floor(watchSeconds * Math.min(LIMITS.registryWatchRate, bears / 2)));
}

async function lookAt(
  dependencies: RegistryWatchDependencies,
  versions: readonly WatchedVersion[],
): Promise<void> {
  const calls: (readonly WatchedVersion[])[] = [];
  for (let from = 0; from < versions.length; from += LIMITS.modelPackagesPerCall)
    calls.push(versions.slice(from, from + LIMITS.modelPackagesPerCall));
  await inParallel(CALLS_AT_A_TIME, calls, async (some) => {
    const answer = await dependencies.sagemaker.send(
      new BatchDescribeModelPackageCommand({
        ModelPackageArnList: some.map((one) => one.modelPackageArn),
      }),
    );
    const changed = some.filter((one) => changeOf(one, answer.ModelPackageSummaries) !== null);
    await inParallel(DECISIONS_AT_A_TIME, changed, (one) => carryOut(dependencies, one));
  });
}

const changeOf = (
  { state, modelPackageArn }: WatchedVersion,
  summaries: Readonly<Record<string, { ModelApprovalStatus?: string | undefined }>> = {},
) => registryChange(state, summaries[modelPackageArn]?.ModelApprovalStatus);

/**
 * Told again every round until the ledger knows it: a release takes the first, and a withdrawal has one workflow.
 * The status is read anew, with who set it and why, which a batch does not tell.
 */
async function carryOut(
  { sagemaker, temporal }: RegistryWatchDependencies,
  version: WatchedVersion,
): Promise<void> {
  const described = await sagemaker.send(
    new DescribeModelPackageCommand({ ModelPackageName: version.modelPackageArn }),
  );
  const change = registryChange(version.state, described.ModelApprovalStatus);
  if (change === null) return;
  const by = byWhom(described.LastModifiedBy);
  // What we wrote ourselves, at the decision before, says nothing about this one.
  const own = version.decidedBy && approvalDescription(ownDecision(version, version.decidedBy));
  const note = described.ApprovalDescription === own ? undefined : described.ApprovalDescription;
  const { fleet, customerKey, workflowId } = version;
  log.info("decided in the registry", { fleet, customerKey, version: version.version, change, by });
  const because = note ?? "rejected in the model registry, without a reason";
  try {
    const release = temporal.workflow.getHandle(workflowId);
    if (change === "approve")
      await release.signal(approve, { by, ...(note === undefined ? {} : { note }) });
    else if (change === "deny") await release.signal(deny, { by, note: because });
    else if (customerKey === COHORT_KEY)
      await startCohortWithdrawal(temporal, version, { verdict: "deny", by, note: because });
    else await startDenied(temporal, version, { verdict: "deny", by, note: because });
  } catch (error) {
    // It has just ended, and the ledger is about to say how.
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

const ownDecision = ({ note }: WatchedVersion, by: string) =>
  note === null ? { by } : { by, note };

/** `registry:<who>` when AWS tells who: a Studio user's profile, or the last part of an IAM identity's ARN. */
export function byWhom(
  who:
    | {
        UserProfileName?: string | undefined;
        IamIdentity?: { Arn?: string | undefined } | undefined;
      }
    | undefined,
): string {
  const name = who?.UserProfileName ?? who?.IamIdentity?.Arn?.split("/").at(-1);
  return name === undefined || name === "" ? "registry" : `registry:${name}`;
}

async function startDenied(
  temporal: Client,
  { fleet, stage, customerKey, version }: WatchedVersion,
  decision: Decision,
): Promise<void> {
  // Withdrawn a moment ago.
  if (stage === null) return;
  await startWithdrawal(
    temporal,
    { fleet, stage, customerKey, version, decision, pace: DEFAULT_PACE },
    `Withdraw version ${version} of ${customerKey} of ${fleet}`,
  );
}

async function startCohortWithdrawal(
  temporal: Client,
  { fleet, stage, version }: WatchedVersion,
  decision: Decision,
): Promise<void> {
  // Withdrawn a moment ago.
  if (stage === null) return;
  const args: WithdrawCohortInput = { fleet, stage, version, decision, pace: DEFAULT_PACE };
  try {
    await temporal.workflow.start(WORKFLOWS.withdrawCohort, {
      workflowId: workflowIds.withdrawCohort(fleet, version),
      taskQueue: TASK_QUEUES.control,
      args: [args],
      workflowIdReusePolicy: "ALLOW_DUPLICATE",
      typedSearchAttributes: [
        { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: fleet },
      ],
      staticSummary: `Withdraw version ${version} of all customers of ${fleet}`,
    });
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
}
