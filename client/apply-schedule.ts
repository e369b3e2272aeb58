/** Brings the Temporal Schedule of a fleet in line with its file: first what would change, then the change. */
import { defineSearchAttributeKey, TypedSearchAttributes } from "@temporalio/common";
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type ScheduleDescription,
  type ScheduleOptions,
  type ScheduleOptionsStartWorkflowAction,
  type Workflow,
} from "@temporalio/client";
import { secondsOf } from "../fleet/duration.js";
import {
  appliedFacts,
  compareSchedules,
  declaredFacts,
  type ScheduleChange,
  type ScheduleFacts,
} from "../fleet/schedule-diff.js";
import type { Schedule } from "../fleet/schedule.schema.js";
import { dueCycle, type DueCycle } from "../fleet/schedule.js";
import { skippedTimes, timesOf, timetableOf } from "../fleet/timetable.js";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import {
  driftScheduleId,
  scheduleId,
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type RetrainFleetInput,
  type WatchDriftInput,
} from "../workflows/messages.js";
import { uploadCode } from "./code-upload.js";
import type { Connections } from "./connections.js";
import { ClientError, messageOf, UsageError } from "./errors.js";
import type { LoadedFleet } from "./fleet-file.js";
import { requireImages } from "./image-check.js";
import {
  appliedNote,
  MEMO_KEY,
  standingFacts,
  startWords,
  temporalOverlap,
  temporalSpec,
} from "./schedule-facts.js";
import { findSchedule, noteOf } from "./schedules.js";
import { schedulePage } from "./settings.js";

export interface ScheduleProposal {
  readonly fleet: string;
  readonly scheduleId: string;
  /** `leave`: the file declares none, but one stands, and stays. */
  readonly action: "create" | "update" | "nothing" | "delete" | "leave";
  readonly changes: readonly ScheduleChange[];
  /** As it stands, and stays: applying neither pauses nor resumes. */
  readonly paused: boolean;
  readonly note: string | null;
  /** The next cycles of what the file declares, without jitter. */
  readonly next: readonly DueCycle[];
  /** Local times within two years at which nothing starts, since the clocks skip them. */
  readonly skippedTimes: readonly string[];
  readonly webPage: string | null;
}

/** What a fleet has a schedule for: its retraining, and its looks for drift. */
interface Purpose {
  readonly scheduleId: (fleet: string) => string;
  readonly scheduleOf: (spec: FleetSpec) => Schedule | undefined;
  readonly workflowType: string;
  readonly workflowId: (fleet: string) => string;
  readonly summary: string;
}

const RETRAINING: Purpose = {
  scheduleId,
  scheduleOf: ({ schedule }) => schedule,
  workflowType: WORKFLOWS.retrainOnSchedule,
  workflowId: workflowIds.retrainOnSchedule,
  summary: "retrain",
};

const DRIFT: Purpose = {
  scheduleId: driftScheduleId,
  scheduleOf: ({ drift }) => drift?.schedule,
  workflowType: WORKFLOWS.watchDrift,
  workflowId: workflowIds.watchDriftOnSchedule,
  summary: "look for drift in",
};

/** `now`: from when the next cycles are told. */
interface Wish {
  readonly deleteSchedule: boolean;
  readonly now: Date;
}

/** Of the retraining. Changes nothing. Throws when the schedule of that id is not modelfleet's. */
export async function proposeSchedule(
  connections: Connections,
  loaded: LoadedFleet,
  wish: Wish,
): Promise<ScheduleProposal> {
  const { path, spec } = loaded;
  if (wish.deleteSchedule && spec.schedule !== undefined)
    throw new UsageError(
      `${path} declares a schedule, so it is not to be deleted`,
      "take `schedule` out of the file first; or modelfleet schedule pause, to stop it for a while",
    );
  const proposal = await propose(connections, loaded, RETRAINING, wish);
  if (proposal === null) throw noSchedule(path);
  return proposal;
}

/** Of the looks for drift; null when the file declares none, and none stands. */
export const proposeDriftSchedule = (
  connections: Connections,
  loaded: LoadedFleet,
  wish: Wish,
): Promise<ScheduleProposal | null> => propose(connections, loaded, DRIFT, wish);

async function propose(
  connections: Connections,
  { spec }: LoadedFleet,
  purpose: Purpose,
  { deleteSchedule, now }: Wish,
): Promise<ScheduleProposal | null> {
  const id = purpose.scheduleId(spec.name);
  const standing = await findSchedule(connections, spec.name, id);
  const schedule = purpose.scheduleOf(spec);
  const common = {
    fleet: spec.name,
    scheduleId: id,
    paused: standing?.state.paused ?? false,
    note: standing === undefined ? null : noteOf(standing),
    webPage: schedulePage(connections.environment, id) ?? null,
  };
  if (schedule === undefined) {
    if (standing === undefined) return null;
    const action = deleteSchedule ? "delete" : "leave";
    return { ...common, action, changes: [], next: [], skippedTimes: [] };
  }
  const changes = changesOf(standing, spec, purpose);
  const action = standing === undefined ? "create" : changes.length > 0 ? "update" : "nothing";
  return { ...common, action, changes, ...comingTimes(spec, schedule, now) };
}

/** Does what was proposed. Throws, and changes nothing, when the schedule has changed since then. */
export async function applySchedule(
  connections: Connections,
  loaded: LoadedFleet,
  { proposal, by }: { readonly proposal: ScheduleProposal; readonly by: string },
): Promise<void> {
  const { action, fleet } = proposal;
  if (action === "nothing" || action === "leave") return;
  const temporal = await connections.temporal();
  const handle = temporal.schedule.getHandle(proposal.scheduleId);
  try {
    if (action === "delete") return await handle.delete();
    const { spec } = loaded;
    const purpose = proposal.scheduleId === driftScheduleId(fleet) ? DRIFT : RETRAINING;
    const schedule = purpose.scheduleOf(spec);
    if (schedule === undefined) return;
    const options = scheduleOptions(spec, { schedule, purpose, by });
    requireImages(loaded, connections.environment);
    await uploadCode(connections, loaded);
    if (action === "create") {
      const memo = { [MEMO_KEY]: fleet };
      await temporal.schedule.create({ ...options, scheduleId: proposal.scheduleId, memo });
      return;
    }
    await handle.update((standing) => {
      refuseOther(proposal, changesOf(standing, spec, purpose));
      const { paused, note } = standing.state;
      return { ...options, state: { paused, ...(note === undefined ? {} : { note }) } };
    });
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning || error instanceof ScheduleNotFoundError)
      throw changedMeanwhile(proposal);
    // What Temporal refuses of a schedule, such as a time zone that only this machine knows.
    if (error instanceof TypeError)
      throw new ClientError(
        `Temporal refuses the schedule: ${messageOf(error)}`,
        "nothing was changed: correct `schedule` in the fleet file",
        { cause: error },
      );
    throw error;
  }
}

const COMING = 3;

function comingTimes(
  spec: FleetSpec,
  schedule: Schedule,
  now: Date,
): Pick<ScheduleProposal, "next" | "skippedTimes"> {
  const timetable = timetableOf(schedule);
  const next: DueCycle[] = [];
  for (const time of timesOf(timetable, { from: now })) {
    next.push(dueCycle(spec.source.window, time));
    if (next.length === COMING) break;
  }
  // An hourly schedule skips the missing hour as the clock does: nothing to tell.
  const { hour, minute } = timetable.calendar;
  const daily = hour.length === 1 && minute.length === 1;
  const until = new Date(now);
  until.setUTCFullYear(until.getUTCFullYear() + 2);
  return { next, skippedTimes: daily ? skippedTimes(timetable, { from: now, until }) : [] };
}

const NOTHING: ScheduleFacts = { schedule: new Map(), fleet: new Map() };

/** Of a schedule that is not there yet, all that is declared. */
function changesOf(
  standing: ScheduleDescription | undefined,
  spec: FleetSpec,
  purpose: Purpose,
): ScheduleChange[] {
  const schedule = purpose.scheduleOf(spec);
  if (schedule === undefined) return [];
  const declared = factsOf(spec, schedule, purpose);
  if (standing !== undefined)
    return compareSchedules(standingFacts(standing), declared, appliedNote(standing));
  return compareSchedules(NOTHING, declared, appliedFacts(NOTHING));
}

const factsOf = (spec: FleetSpec, schedule: Schedule, purpose: Purpose): ScheduleFacts =>
  declaredFacts(spec, schedule, startWords(startOf(spec, purpose)));

const startOf = ({ name }: FleetSpec, { workflowType, workflowId }: Purpose) => ({
  workflowType,
  taskQueue: TASK_QUEUES.control,
  workflowId: workflowId(name),
});

type Action = ScheduleOptionsStartWorkflowAction<Workflow>;

function scheduleOptions(
  spec: FleetSpec,
  {
    schedule,
    purpose,
    by,
  }: { readonly schedule: Schedule; readonly purpose: Purpose; readonly by: string },
): Omit<ScheduleOptions<Action>, "scheduleId" | "state" | "memo"> {
  const input: RetrainFleetInput & WatchDriftInput = { spec };
  const fleet = defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD");
  const typedSearchAttributes = new TypedSearchAttributes([{ key: fleet, value: spec.name }]);
  const { schedule: words, fleetHash } = appliedFacts(factsOf(spec, schedule, purpose));
  return {
    spec: temporalSpec(schedule),
    policies: {
      overlap: temporalOverlap(schedule.overlap),
      catchupWindow: secondsOf(schedule.catchupWindow) * 1000,
    },
    typedSearchAttributes,
    action: {
      type: "startWorkflow",
      ...startOf(spec, purpose),
      args: [input],
      typedSearchAttributes,
      staticSummary: `${purpose.summary} ${spec.name}, ${words.schedule ?? ""} (${schedule.timezone})`,
      // Temporal's memo of a schedule cannot be changed by all its versions; that of its action can.
      memo: { [MEMO_KEY]: { by, at: new Date().toISOString(), schedule: words, fleetHash } },
    },
  };
}

function refuseOther(proposal: ScheduleProposal, now: readonly ScheduleChange[]): void {
  if (JSON.stringify(proposal.changes) !== JSON.stringify(now)) throw changedMeanwhile(proposal);
}

const changedMeanwhile = ({ scheduleId: id, fleet }: ScheduleProposal): ClientError =>
  new ClientError(
    `the schedule ${id} has been changed while you looked at the differences; nothing was applied`,
    `apply again, to see what it is now: modelfleet schedule show ${fleet}`,
  );

const noSchedule = (path: string): ClientError =>
  new ClientError(
    `${path} declares no schedule, and the fleet has none`,
    'add one: schedule: monthly({ day: 1, at: "03:00", timezone: "UTC" })',
  );
