/** A stage elsewhere that does not let the worker in, or do what it must: what is on its way into it waits. */
import { activityInfo, log } from "@temporalio/activity";
import { ApplicationFailure } from "@temporalio/common";
import { FAILURES } from "../fleet/errors.js";
import { LIMITS } from "../fleet/limits.js";
import { stageBackMessage, stageClosedMessage } from "../fleet/notifications.js";
import { messageOf, retryable } from "./application-failure.js";
import { readClosed, recordClosed, recordOpen } from "./ledger/closed-stages.js";
import { readStage, type DeclaredStage } from "./ledger/stages.js";
import type { StageRef } from "./ledger/publications.js";
import { pause } from "./patience.js";
import { tellOnce, type TellDependencies } from "./tell-once.js";
import { translateError } from "./translate-error.js";

/**
 * Rights of another account are given, taken and mended by people there: a version that is rejected for want of one
 * would not come again when it is mended. Throws what `work` throws; AccessDenied of a stage that is reached by a role
 * as retryable. When that lasts, people are told, once; and once when `work`, which reaches the stage, is done.
 */
export async function waitWhileClosed<T>(
  dependencies: TellDependencies,
  place: StageRef,
  work: () => Promise<T>,
): Promise<T> {
  let done: T;
  try {
    done = await work();
  } catch (error) {
    const failure = translateError(error);
    if (!(failure instanceof ApplicationFailure) || failure.type !== FAILURES.accessDenied)
      throw error;
    const declared = await readStage(dependencies.ledger, place);
    const { stage } = declared;
    if (stage.role === undefined) throw error;
    const untold = await tellClosed(dependencies, place, declared, failure.message);
    throw retryable(FAILURES.accessDenied, {
      message: `stage "${stage.name}" in account ${stage.account}: ${failure.message}${untold}`,
      hint: `${hintOf(failure)}; what is on its way into the stage waits, and goes on by itself`,
      cause: error,
    });
  }
  await tellOpen(dependencies, place);
  return done;
}

/** Returns why nobody could be told, to be read on the activity's page; empty when there is no such reason. */
async function tellClosed(
  dependencies: TellDependencies,
  place: StageRef,
  { spec, stage: { account } }: DeclaredStage,
  because: string,
): Promise<string> {
  const { activityType: activity } = activityInfo();
  const closed = await recordClosed(dependencies.ledger, place, { activity, because });
  const webhook = spec.approval?.webhook;
  if (webhook === undefined || closed.seconds < LIMITS.stageClosedSeconds) return "";
  const { since } = closed;
  try {
    await tellOnce(
      dependencies,
      { fleet: place.fleet, cycle: "", kind: "stage-closed", stage: place.stage },
      {
        ...{ webhook, since },
        message: async () => stageClosedMessage({ ...place, account, since }, because),
      },
    );
    return "";
  } catch (error) {
    return ` (the message about it was not sent: ${messageOf(error)})`;
  }
}

/** Only what people were told of is told to be over. The stage's work is done: it does not wait for a webhook. */
async function tellOpen(dependencies: TellDependencies, place: StageRef): Promise<void> {
  const { ledger } = dependencies;
  const { activityType: activity } = activityInfo();
  const closed = await readClosed(ledger, place, activity);
  if (closed === null) return;
  const { spec, stage } = await readStage(ledger, place);
  const webhook = spec.approval?.webhook;
  const { since } = closed;
  if (closed.told && webhook !== undefined)
    try {
      await tellOnce(
        dependencies,
        { fleet: place.fleet, cycle: "", kind: "stage-back", stage: place.stage },
        {
          ...{ webhook, since },
          message: async () => stageBackMessage({ ...place, account: stage.account, since }),
        },
      );
    } catch (error) {
      log.warn("nobody told that a stage is back", { ...place, because: messageOf(error) });
    }
  await recordOpen(ledger, place, activity);
}

export interface Patience {
  /** Between two looks. */
  readonly pollSeconds: number;
  readonly forSeconds: number;
}

/**
 * The same for an activity whose attempts are few: looks again within the attempt, until the stage is open or the time
 * is up. `work` may be begun many times.
 */
export async function whileClosed<T>(
  dependencies: TellDependencies,
  place: StageRef,
  { pollSeconds, forSeconds }: Patience,
  work: () => Promise<T>,
): Promise<T> {
  const end = Date.now() + forSeconds * 1000;
  for (;;)
    try {
      return await waitWhileClosed(dependencies, place, work);
    } catch (error) {
      if (!isClosed(error) || Date.now() > end) throw error;
      log.warn("stage closed", { ...place, because: error.message });
      await pause(pollSeconds);
    }
}

const isClosed = (error: unknown): error is ApplicationFailure =>
  error instanceof ApplicationFailure &&
  error.type === FAILURES.accessDenied &&
  error.nonRetryable !== true;

function hintOf({ details }: ApplicationFailure): string {
  const [first] = details ?? [];
  const isHint = typeof first === "object" && first !== null && "hint" in first;
  return isHint ? String(first.hint) : "mend what the message names";
}
