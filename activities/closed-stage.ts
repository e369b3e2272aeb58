/** A stage elsewhere that does not let the worker in, or do what it must: what is on its way into it waits. */
import { ApplicationFailure } from "@temporalio/common";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { retryable } from "./application-failure.js";
import { readStage } from "./ledger/stages.js";
import type { StageRef } from "./ledger/publications.js";
import { translateError } from "./translate-error.js";

/**
 * Rights of another account are given, taken and mended by people there: a version that is rejected for want of one
 * would not come again when it is mended. Throws what `work` throws; AccessDenied of a stage that is reached by a role
 * as retryable.
 */
export async function waitWhileClosed<T>(
  ledger: pg.Pool,
  place: StageRef,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const failure = translateError(error);
    if (!(failure instanceof ApplicationFailure) || failure.type !== FAILURES.accessDenied)
      throw error;
    const { stage } = await readStage(ledger, place);
    if (stage.role === undefined) throw error;
    throw retryable(FAILURES.accessDenied, {
      message: `stage "${stage.name}" in account ${stage.account}: ${failure.message}`,
      hint: `${hintOf(failure)}; what is on its way into the stage waits, and goes on by itself`,
      cause: error,
    });
  }
}

function hintOf({ details }: ApplicationFailure): string {
  const [first] = details ?? [];
  const isHint = typeof first === "object" && first !== null && "hint" in first;
  return isHint ? String(first.hint) : "mend what the message names";
}
