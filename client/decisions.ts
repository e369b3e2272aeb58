/** Approves or denies a model version by way of its release workflow's `decide` update, or withdraws what serves. */
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import {
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  type Client,
  type WorkflowHandle,
} from "@temporalio/client";
import { ApplicationFailure } from "@temporalio/common";
import { decide, workflowIds, type Decision } from "../workflows/messages.js";
import type { Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import { isPolled } from "./watch-cycle.js";
import { withdrawServing } from "./withdrawal.js";

/** A worker answers an update within milliseconds; without one it would wait for ever. */
const ANSWER_TIMEOUT_MS = 20_000;
const PAUSE_MS = 500;

export interface DecidedModel {
  readonly fleet: string;
  readonly customer: string;
  readonly customerKey: string;
  readonly version: number;
}

export interface Decided extends Decision {
  /** The workflow that takes the denied version out of service, or out of the ways back. */
  readonly withdrawalWorkflowId?: string;
}

export interface DecideOptions {
  /** How long to try again when no worker answers, beyond the first try. */
  readonly patienceMs?: number;
  /** Leave what serves by now, or has, alone, though the denial was meant for it while it waited. */
  readonly undecidedOnly?: boolean;
}

/** Somebody was faster, or an earlier attempt got this far: nothing has changed. */
export class AlreadyDecided extends ClientError {}

/** It may have been taken all the same: whoever runs next carries it out. */
export class Unanswered extends ClientError {}

/** Throws ClientError with the release's own words when it refuses; AlreadyDecided when there is nothing to decide. */
export async function decideModel(
  connections: Connections,
  model: DecidedModel,
  decision: Decision,
  { patienceMs = 0, undecidedOnly = false }: DecideOptions = {},
): Promise<Decided> {
  const { fleet, customerKey, version } = model;
  const name = `version ${version} of "${model.customer}"`;
  const workflowId = workflowIds.releaseModel(fleet, customerKey, version);
  const answer = await askRelease(connections, { workflowId, name }, decision, patienceMs);
  if (answer !== null) return answer;
  const serves = decision.verdict === "deny" && !undecidedOnly;
  const withdrawalWorkflowId = serves
    ? await withdrawServing(connections, model, { decision })
    : null;
  if (withdrawalWorkflowId !== null) return { ...decision, withdrawalWorkflowId };
  throw new AlreadyDecided(`${name} no longer waits for a decision`, `modelfleet models ${fleet}`);
}

/** The decision as the release has taken it; null when it has ended. Throws ClientError with its refusal. */
export async function askRelease(
  connections: Connections,
  { workflowId, name }: { readonly workflowId: string; readonly name: string },
  decision: Decision,
  patienceMs = 0,
): Promise<Decision | null> {
  const temporal = await connections.temporal();
  const handle = temporal.workflow.getHandle(workflowId);
  try {
    return await ask(temporal, handle, decision, patienceMs);
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError) throw refusalOf(name, error);
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

async function ask(
  temporal: Client,
  handle: WorkflowHandle,
  decision: Decision,
  patienceMs: number,
): Promise<Decision> {
  // One id for all attempts: a decision that arrived, though its answer was lost, is not made a second time.
  const args: [Decision] = [decision];
  const update = { args, updateId: randomUUID() };
  const giveUpAt = Date.now() + patienceMs;
  for (;;) {
    try {
      return await temporal.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
        handle.executeUpdate(decide, update),
      );
    } catch (error) {
      if (error instanceof WorkflowUpdateFailedError || error instanceof WorkflowNotFoundError)
        throw error;
      if (Date.now() >= giveUpAt) throw await silence(temporal, error);
      await wait(PAUSE_MS);
    }
  }
}

async function silence(temporal: Client, error: unknown): Promise<Unanswered> {
  const polled = await isPolled(temporal).catch(() => true);
  return new Unanswered(
    polled
      ? `no worker has answered: ${messageOf(error)}`
      : "no worker runs, so nobody carries decisions out",
    "modelfleet worker; modelfleet doctor checks every part",
    error instanceof Error ? { cause: error } : {},
  );
}

function refusalOf(name: string, error: WorkflowUpdateFailedError): ClientError {
  const message = `${name} was not decided: ${messageOf(error.cause ?? error)}`;
  const details: readonly unknown[] =
    error.cause instanceof ApplicationFailure ? (error.cause.details ?? []) : [];
  const [detail] = details;
  const decided =
    typeof detail === "object" && detail !== null && "decided" in detail && detail.decided === true;
  return decided ? new AlreadyDecided(message) : new ClientError(message);
}
