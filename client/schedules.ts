/** The Temporal Schedules of fleets: found, told whose they are, and told about. */
import {
  ScheduleNotFoundError,
  WorkflowNotFoundError,
  type Client,
  type ScheduleDescription,
  type ScheduleExecutionResult,
} from "@temporalio/client";
import { cycleId } from "../fleet/names.js";
import { editsSince, type ScheduleChange } from "../fleet/schedule-diff.js";
import { scheduleId, workflowIds } from "../workflows/messages.js";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import { nearest } from "./nearest.js";
import { appliedNote, MEMO_KEY, standingFacts } from "./schedule-facts.js";
import { schedulePage } from "./settings.js";

export interface ScheduleSummary {
  readonly fleet: string;
  readonly scheduleId: string;
  readonly paused: boolean;
  readonly note: string | null;
  /** When Temporal starts it next, jitter included: ISO, the soonest first. */
  readonly nextStarts: readonly string[];
}

export interface ScheduledRun {
  readonly cycle: string;
  /** Nominal: ISO. */
  readonly dueAt: string;
  readonly startedAt: string;
  /** Of the workflow that the schedule started, as Temporal says it; null when it is no longer known. */
  readonly state: string | null;
  readonly workflowId: string;
}

export interface ScheduleDetails extends ScheduleSummary {
  readonly times: string;
  readonly timezone: string;
  readonly jitter: string;
  readonly overlap: string;
  readonly catchupWindow: string;
  /** Newest first. */
  readonly runs: readonly ScheduledRun[];
  readonly running: readonly string[];
  readonly skipped: number;
  readonly missed: number;
  readonly applied: { readonly by: string; readonly at: string } | null;
  /** Null when nobody can tell, since the note of what was applied is gone. */
  readonly edits: readonly ScheduleChange[] | null;
  readonly webPage: string | null;
}

/** Undefined when there is none. Throws when there is one that modelfleet has not made. */
export async function findSchedule(
  connections: Connections,
  fleet: string,
  id: string = scheduleId(fleet),
): Promise<ScheduleDescription | undefined> {
  const temporal = await connections.temporal();
  try {
    const standing = await temporal.schedule.getHandle(id).describe();
    if (standing.memo?.[MEMO_KEY] === fleet) return standing;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
  throw new ClientError(
    `the schedule ${id} is not modelfleet's: its memo has no ${MEMO_KEY}: "${fleet}"`,
    `see who made it: temporal schedule describe --schedule-id ${id}; delete it there, or rename the fleet`,
  );
}

export async function requireSchedule(
  connections: Connections,
  fleet: string,
): Promise<ScheduleDescription> {
  const standing = await findSchedule(connections, fleet);
  if (standing !== undefined) return standing;
  const known = (await listSchedules(connections)).map((one) => one.fleet);
  const close = nearest(fleet, known);
  const told = close === undefined ? "" : ` (nearest: "${close}")`;
  throw new ClientError(
    `fleet "${fleet}" has no schedule${told}`,
    "declare one in its file, then modelfleet apply FLEETFILE; modelfleet schedule list shows those there are",
  );
}

/** Those of fleets, by name. Temporal's list follows a change within a second or two. */
export async function listSchedules(connections: Connections): Promise<ScheduleSummary[]> {
  const temporal = await connections.temporal();
  const found: ScheduleSummary[] = [];
  for await (const { scheduleId: id, memo, state, info } of temporal.schedule.list()) {
    const fleet = memo?.[MEMO_KEY];
    if (typeof fleet !== "string" || id !== scheduleId(fleet)) continue;
    found.push(summary(fleet, { state, info }));
  }
  return found.sort((a, b) => (a.fleet < b.fleet ? -1 : 1));
}

export async function readSchedule(
  connections: Connections,
  fleet: string,
): Promise<ScheduleDetails> {
  const temporal = await connections.temporal();
  const standing = await requireSchedule(connections, fleet);
  const facts = standingFacts(standing);
  const applied = appliedNote(standing);
  const read = (field: string) => facts.schedule.get(field) ?? "";
  const { info } = standing;
  return {
    ...summary(fleet, standing),
    times: read("schedule"),
    timezone: read("schedule.timezone"),
    jitter: read("schedule.jitter"),
    overlap: read("schedule.overlap"),
    catchupWindow: read("schedule.catchupWindow"),
    runs: await Promise.all(
      info.recentActions
        .slice(-SHOWN_RUNS)
        .reverse()
        .map((action) => describeRun(temporal, fleet, action)),
    ),
    running: info.runningActions.map(({ workflow }) => workflow.workflowId),
    skipped: info.numActionsSkippedOverlap,
    missed: info.numActionsMissedCatchupWindow,
    applied: applied === undefined ? null : { by: applied.by, at: applied.at },
    edits: editsSince(facts, applied) ?? null,
    webPage: schedulePage(connections.environment, scheduleId(fleet)) ?? null,
  };
}

const SHOWN_RUNS = 5;

function summary(
  fleet: string,
  { state, info }: Pick<ScheduleDescription, "state"> & { info: { nextActionTimes: Date[] } },
): ScheduleSummary {
  return {
    fleet,
    scheduleId: scheduleId(fleet),
    paused: state.paused,
    note: noteOf({ state }),
    nextStarts: info.nextActionTimes.map((time) => time.toISOString()),
  };
}

export function noteOf({ state }: Pick<ScheduleDescription, "state">): string | null {
  return state.note === undefined || state.note === "" ? null : state.note;
}

async function describeRun(
  temporal: Client,
  fleet: string,
  action: ScheduleExecutionResult,
): Promise<ScheduledRun> {
  const { workflowId } = action.action.workflow;
  const due = dueTime(fleet, action);
  const state = await temporal.workflow
    .getHandle(workflowId)
    .describe()
    .then(({ status }) => status.name.toLowerCase())
    .catch((error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return null;
      throw error;
    });
  return {
    cycle: cycleId(due.toISOString()),
    dueAt: due.toISOString(),
    startedAt: action.takenAt.toISOString(),
    state,
    workflowId,
  };
}

/** The nominal time, which Temporal appends to the workflow's id; `scheduledAt` has the jitter in it. */
export function dueTime(
  fleet: string,
  { action, scheduledAt }: Pick<ScheduleExecutionResult, "action" | "scheduledAt">,
): Date {
  const appended = action.workflow.workflowId.slice(
    workflowIds.retrainOnSchedule(fleet).length + 1,
  );
  const nominal = new Date(appended);
  return Number.isNaN(nominal.getTime()) ? scheduledAt : nominal;
}
