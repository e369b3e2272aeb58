/** Pauses and resumes the schedule of a fleet, and starts cycles by it out of turn. */
import { setTimeout as wait } from "node:timers/promises";
import type { ScheduleDescription } from "@temporalio/client";
import type { Calendar } from "../fleet/calendar.js";
import { LIMITS } from "../fleet/limits.js";
import { cycleId } from "../fleet/names.js";
import { dueCycle, type DueCycle } from "../fleet/schedule.js";
import { timesOf } from "../fleet/timetable.js";
import { scheduleId } from "../workflows/messages.js";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import { standingCalendars } from "./schedule-facts.js";
import { dueTime, noteOf, requireSchedule } from "./schedules.js";

export interface Steered {
  readonly fleet: string;
  readonly scheduleId: string;
  readonly paused: boolean;
  readonly note: string | null;
  /** False when it was so before: nothing was changed. */
  readonly changed: boolean;
}

/** A cycle that runs goes on; those that fall due meanwhile are left out, and can be backfilled. */
export async function pauseSchedule(
  connections: Connections,
  { fleet, note }: { readonly fleet: string; readonly note: string },
): Promise<Steered> {
  return steer(connections, { fleet, paused: true, note });
}

export async function resumeSchedule(
  connections: Connections,
  { fleet, note }: { readonly fleet: string; readonly note: string },
): Promise<Steered> {
  return steer(connections, { fleet, paused: false, note });
}

async function steer(
  connections: Connections,
  { fleet, paused, note }: { fleet: string; paused: boolean; note: string },
): Promise<Steered> {
  const standing = await requireSchedule(connections, fleet);
  const id = scheduleId(fleet);
  if (standing.state.paused === paused)
    return { fleet, scheduleId: id, paused, note: noteOf(standing), changed: false };
  const temporal = await connections.temporal();
  const handle = temporal.schedule.getHandle(id);
  await (paused ? handle.pause(note) : handle.unpause(note));
  return { fleet, scheduleId: id, paused, note, changed: true };
}

export interface Triggered {
  readonly fleet: string;
  readonly scheduleId: string;
  /** Of the cycle that was started; null when it waits for the running one, as the overlap policy says. */
  readonly cycle: string | null;
  readonly workflowId: string | null;
}

/** Starts a cycle for this minute, by the overlap policy of the schedule, also while it is paused. */
export async function triggerSchedule(connections: Connections, fleet: string): Promise<Triggered> {
  const standing = await requireSchedule(connections, fleet);
  const { overlap } = standing.policies;
  const [running] = standing.info.runningActions;
  if (running !== undefined && (overlap ?? "SKIP") === "SKIP")
    throw new ClientError(
      `a cycle of "${fleet}" runs (${running.workflow.workflowId}), and the overlap policy is skip: nothing was started`,
      `modelfleet status ${fleet} --follow, and trigger when it has ended`,
    );
  const temporal = await connections.temporal();
  const handle = temporal.schedule.getHandle(scheduleId(fleet));
  const before = new Set(startedIds(standing));
  await handle.trigger(overlap);
  const id = scheduleId(fleet);
  for (let look = 0; look < LOOKS; look++) {
    const { info } = await handle.describe();
    const started = info.recentActions.find(
      ({ action }) => !before.has(action.workflow.workflowId),
    );
    if (started !== undefined) {
      const cycle = cycleId(dueTime(fleet, started).toISOString());
      return { fleet, scheduleId: id, cycle, workflowId: started.action.workflow.workflowId };
    }
    await wait(LOOK_MS);
  }
  return { fleet, scheduleId: id, cycle: null, workflowId: null };
}

const LOOK_MS = 200;
/** Temporal starts what is triggered within a second. */
const LOOKS = 25;

const startedIds = ({ info }: ScheduleDescription): string[] =>
  info.recentActions.map(({ action }) => action.workflow.workflowId);

export interface BackfillPlan {
  readonly fleet: string;
  readonly scheduleId: string;
  /** Oldest first: so they run, one after the other. */
  readonly cycles: readonly DueCycle[];
}

/** The cycles that were due from one time to another, both included. Starts nothing. */
export async function planBackfill(
  connections: Connections,
  { fleet, from, to }: { readonly fleet: string; readonly from: Date; readonly to: Date },
): Promise<BackfillPlan> {
  const standing = await requireSchedule(connections, fleet);
  const calendars = standingCalendars(standing);
  const window = windowOf(standing);
  if (calendars === undefined || window === undefined)
    throw new ClientError(
      `the schedule of "${fleet}" has been edited by hand into what no fleet file can say`,
      "modelfleet apply FLEETFILE shows that, and brings it in line; then backfill",
    );
  const cycles: DueCycle[] = [];
  for (const at of timesBetween(calendars, standing.spec.timezone, { from, to })) {
    if (cycles.length === LIMITS.cyclesPerBackfill)
      throw new ClientError(
        `more than ${LIMITS.cyclesPerBackfill} cycles of "${fleet}" were due in that time`,
        "backfill a shorter time, then the next",
      );
    cycles.push(dueCycle(window, at));
  }
  return { fleet, scheduleId: scheduleId(fleet), cycles };
}

/**
 * Starts them, each for its own time, one after the other whatever the overlap policy: a cycle's champions are
 * those of the cycle before. One that runs or has completed is left as it is.
 */
export async function backfillSchedule(
  connections: Connections,
  { fleet, cycles }: BackfillPlan,
): Promise<void> {
  const temporal = await connections.temporal();
  const standing = await requireSchedule(connections, fleet);
  // Temporal compares the jittered time with the end, so every time has an end of its own, beyond its jitter.
  const jitterMs = Math.max(standing.spec.jitter ?? 0, LEAST_JITTER_MS) + 1000;
  const backfills = cycles.map(({ at }, place) => {
    const start = new Date(at);
    const last = start.getTime() + jitterMs;
    const next = cycles[place + 1]?.at ?? nextTime(standing, start, new Date(last));
    const end = next === undefined ? last : Math.min(last, new Date(next).getTime() - 1);
    return { start, end: new Date(end), overlap: "BUFFER_ALL" as const };
  });
  await temporal.schedule.getHandle(scheduleId(fleet)).backfill(backfills);
}

/** What Temporal adds even where none is asked for. */
const LEAST_JITTER_MS = 1000;

/** The first after a time, if there is one by then. */
function nextTime(standing: ScheduleDescription, after: Date, until: Date): Date | undefined {
  const from = new Date(after.getTime() + 1);
  return timesBetween(standingCalendars(standing) ?? [], standing.spec.timezone, {
    from,
    to: until,
  })[0];
}

function timesBetween(
  calendars: readonly Calendar[],
  timezone: string | undefined,
  { from, to }: { readonly from: Date; readonly to: Date },
): Date[] {
  const zone = timezone === undefined || timezone === "" ? "UTC" : timezone;
  const times = new Map<number, Date>();
  for (const calendar of calendars) {
    let found = 0;
    for (const time of timesOf({ calendar, timezone: zone }, { from, until: to })) {
      times.set(time.getTime(), time);
      if (++found > LIMITS.cyclesPerBackfill) break;
    }
  }
  return [...times.values()].sort((a, b) => a.getTime() - b.getTime());
}

/** Of the fleet that the schedule starts. */
function windowOf({ action }: ScheduleDescription): WindowLength | undefined {
  const input: unknown = action.args?.[0];
  const window = ["spec", "source", "window"].reduce(member, input);
  const [months, pushbackDays] = [member(window, "months"), member(window, "pushbackDays")];
  if (typeof months !== "number" || typeof pushbackDays !== "number") return undefined;
  return { months, pushbackDays };
}

interface WindowLength {
  readonly months: number;
  readonly pushbackDays: number;
}

const member = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null
    ? new Map(Object.entries(value)).get(name)
    : undefined;
