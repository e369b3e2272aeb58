/** Tells release workflows what became of the versions that they asked to publish. */
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import type pg from "pg";
import { published, type Publication, type PublicationOutcome } from "../workflows/messages.js";
import { inParallel } from "./in-parallel.js";
import {
  readAskedVersions,
  recordRejected,
  type AskedVersion,
  type StageRef,
} from "./ledger/publications.js";

export interface AnswerDependencies {
  readonly ledger: pg.Pool;
  readonly temporal: Client;
}

export interface RejectedRequest extends Publication {
  readonly because: string;
}

const SIGNALS_AT_A_TIME = 8;
/** Enough for a sentence and the container's own words. */
const REASON_LENGTH = 1000;

/** Records the rejections, then answers. Whoever serves already, by an earlier attempt, is told that instead. */
export async function rejectRequests(
  { ledger, temporal }: AnswerDependencies,
  place: StageRef,
  requests: readonly RejectedRequest[],
): Promise<void> {
  if (requests.length === 0) return;
  const before = await readAskedVersions(ledger, place, requests);
  const rejected = requests.map((one, index) => ({
    ...one,
    because: one.because.slice(0, REASON_LENGTH),
    targetModel: before[index]?.targetModel ?? "",
  }));
  await recordRejected(ledger, place, rejected);
  const known = await readAskedVersions(ledger, place, rejected);
  await inParallel(SIGNALS_AT_A_TIME, [...rejected.entries()], ([index, request]) => {
    const version = known[index];
    const outcome =
      version !== undefined && isServing(version)
        ? servingOutcome(place, version)
        : rejectedOutcome(place, request);
    return answerRelease(temporal, request, outcome);
  });
}

/** A release workflow that is gone needs no answer. */
export async function answerRelease(
  temporal: Client,
  { releaseWorkflowId }: Publication,
  outcome: PublicationOutcome,
): Promise<void> {
  try {
    await temporal.workflow.getHandle(releaseWorkflowId).signal(published, outcome);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

export const servingOutcome = (
  { stage }: StageRef,
  { version, address }: AskedVersion,
): PublicationOutcome => ({
  kind: "serving",
  stage,
  version,
  targetModel: address.targetModel,
});

export const rejectedOutcome = (
  { stage }: StageRef,
  { version, because }: RejectedRequest,
): PublicationOutcome => ({
  kind: "rejected",
  stage,
  version,
  because,
});

export const isServing = ({ publication }: AskedVersion): boolean =>
  publication?.state === "serving";
