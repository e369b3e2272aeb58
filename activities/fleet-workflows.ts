/** Finds and ends the workflows of a fleet, those first that would start others. */
import type { Client, WorkflowExecutionInfo } from "@temporalio/client";
import { ScheduleNotFoundError, WorkflowNotFoundError } from "@temporalio/client";
import { log } from "@temporalio/activity";
import { FAILURES } from "../fleet/errors.js";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import { driftScheduleId, scheduleId, workflowIds, WORKFLOWS } from "../workflows/messages.js";
import { messageOf, permanent } from "./application-failure.js";
import type { FleetPart } from "./fleet-resources.js";
import { pause } from "./patience.js";

export interface RunningWorkflow {
  readonly workflowId: string;
  readonly type: string;
}

const CYCLES: readonly string[] = [
  WORKFLOWS.retrainFleet,
  WORKFLOWS.retrainOnSchedule,
  WORKFLOWS.watchDrift,
];
const DESTRUCTION: string = WORKFLOWS.destroyFleet;

/** Of the fleet and no other: the search attribute is its whole name. */
export async function findWorkflows(
  temporal: Client,
  { fleet, stage }: FleetPart,
): Promise<RunningWorkflow[]> {
  const query = `${SEARCH_ATTRIBUTES.fleet} = '${fleet}' and ExecutionStatus = 'Running'`;
  const found: RunningWorkflow[] = [];
  for await (const { workflowId, type } of temporal.workflow.list({ query }))
    if (type !== DESTRUCTION) found.push({ workflowId, type });
  return stage === undefined ? found : found.filter((one) => isOfStage(one, { fleet, stage }));
}

/** What touches the stage's endpoint. A release that waits for a decision outlives it, and a cycle has to be over. */
const isOfStage = (
  { workflowId, type }: RunningWorkflow,
  { fleet, stage }: { readonly fleet: string; readonly stage: string },
): boolean =>
  CYCLES.includes(type) ||
  type === WORKFLOWS.withdrawModel ||
  workflowId === workflowIds.serveEndpoint(fleet, stage);

export const isCycle = ({ type }: RunningWorkflow): boolean => CYCLES.includes(type);

export interface EndingInput extends FleetPart {
  /** Cycles that run are cancelled; else they are a reason to refuse. */
  readonly cancel: boolean;
}

/** An endpoint's workflow brings the batch that it has begun to its end, which AWS may need this long for. */
const ENDPOINT_SECONDS = 15 * 60;
const LOOK_SECONDS = 1;

/** Throws FleetBusy, with nothing changed, when a cycle runs that is not to be cancelled. */
export async function endWorkflows(temporal: Client, input: EndingInput): Promise<number> {
  const { fleet, stage, cancel } = input;
  const running = await findWorkflows(temporal, input);
  const cycles = running.filter(isCycle);
  if (cycles.length > 0 && !cancel) throw busy(fleet, cycles);
  // From here on nothing starts a cycle but a person.
  if (stage === undefined) await deleteSchedules(temporal, fleet);
  for (const cycle of cycles) await cancelAndWait(temporal, cycle, null);
  let ended = cycles.length;
  // Visibility follows a change within seconds, and what has ended may have started others.
  for (let quiet = 0; quiet < 2;) {
    const left = await findWorkflows(temporal, input);
    quiet = left.length === 0 ? quiet + 1 : 0;
    const [endpoints, others] = [left.filter(isEndpoint), left.filter((one) => !isEndpoint(one))];
    for (const one of others) await terminate(temporal, one);
    for (const one of endpoints) await cancelAndWait(temporal, one, ENDPOINT_SECONDS);
    ended += left.length;
    await pause(LOOK_SECONDS);
  }
  log.info("workflows ended", { fleet, stage, ended });
  return ended;
}

/**
 * Their ids are made of the fleet, its customers and versions, which begin at 1 again if a fleet of that name is ever
 * run again: a release that is found completed would never be started.
 */
export async function forgetWorkflows(temporal: Client, fleet: string): Promise<void> {
  const query = `${SEARCH_ATTRIBUTES.fleet} = '${fleet}' and ExecutionStatus != 'Running'`;
  const { namespace } = temporal.options;
  // Deleted one by one, and in the background: they are listed until they are gone.
  for (let quiet = 0; quiet < 2; quiet += 1) {
    for await (const { workflowId, runId, type } of temporal.workflow.list({ query })) {
      if (type === DESTRUCTION) continue;
      quiet = 0;
      await temporal.workflowService
        .deleteWorkflowExecution({ namespace, workflowExecution: { workflowId, runId } })
        .catch((error: unknown) => {
          if (!/not found/i.test(messageOf(error))) throw error;
        });
    }
    await pause(LOOK_SECONDS);
  }
}

const isEndpoint = ({ type }: RunningWorkflow): boolean => type === WORKFLOWS.serveEndpoint;

const busy = (fleet: string, cycles: readonly RunningWorkflow[]) =>
  permanent(FAILURES.fleetBusy, {
    message: `fleet "${fleet}" is being retrained: ${cycles.map(({ workflowId }) => workflowId).join(", ")}`,
    hint: `wait for it, end it with modelfleet cancel ${fleet}, or destroy with --cancel`,
  });

async function deleteSchedules(temporal: Client, fleet: string): Promise<void> {
  for (const id of [scheduleId(fleet), driftScheduleId(fleet)])
    try {
      await temporal.schedule.getHandle(id).delete();
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
}

export async function hasSchedule(temporal: Client, fleet: string): Promise<boolean> {
  for (const id of [scheduleId(fleet), driftScheduleId(fleet)])
    try {
      await temporal.schedule.getHandle(id).describe();
      return true;
    } catch (error) {
      if (!(error instanceof ScheduleNotFoundError)) throw error;
    }
  return false;
}

/** A cycle stops its jobs before it ends. Terminated when that takes longer than `patience`. */
async function cancelAndWait(
  temporal: Client,
  { workflowId }: RunningWorkflow,
  patience: number | null,
): Promise<void> {
  const handle = temporal.workflow.getHandle(workflowId);
  try {
    await handle.cancel();
    const until = Date.now() + (patience ?? Infinity) * 1000;
    while (isRunning(await handle.describe())) {
      if (Date.now() > until) await handle.terminate("its fleet is destroyed");
      await pause(LOOK_SECONDS);
    }
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

const isRunning = ({ status }: Pick<WorkflowExecutionInfo, "status">): boolean =>
  status.name === "RUNNING";

async function terminate(temporal: Client, { workflowId }: RunningWorkflow): Promise<void> {
  try {
    await temporal.workflow.getHandle(workflowId).terminate("its fleet is destroyed");
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}
