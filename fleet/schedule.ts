/** The functions that a fleet file declares its schedule with, and the cycles that follow from it. */
import { type Calendar, matchesDay, readCalendar, readCron } from "./calendar.js";
import { cycleId } from "./names.js";
import type { Schedule, ScheduleInput } from "./schedule.schema.js";
import { instantsAt, wallClock } from "./time-zone.js";
import { cycleWindow, type Window } from "./window.js";

type Options<Kind extends ScheduleInput["kind"]> = Omit<
  Extract<ScheduleInput, { kind: Kind }>,
  "kind"
>;

/** Every day at a time: `daily({ at: "05:00" })`. */
export const daily = ({ at, ...options }: Clock): ScheduleInput =>
  calendar({ ...options, ...clockOf(at) });

/** On a day of every week: `weekly({ day: "MON", at: "05:00" })`. */
export const weekly = ({ day, at, ...options }: Clock & { readonly day: string }): ScheduleInput =>
  calendar({ ...options, dayOfWeek: day, ...clockOf(at) });

type Clock = Omit<Options<"calendar">, "minute" | "hour" | "dayOfMonth" | "month" | "dayOfWeek"> & {
  /** Hours and minutes, such as 05:00. */
  readonly at: string;
};

/** What is no time of day goes through as it is: the calendar's check tells it. */
function clockOf(at: string): { hour: string; minute: string } {
  const [, hour = at, minute = at] = /^(\d\d):(\d\d)$/.exec(at) ?? [];
  return { hour, minute };
}

/** On a day of every month, at a time: `monthly({ day: 1, at: "03:00", timezone: "UTC", jitter: "10m" })`. */
export const monthly = (options: Options<"monthly">): ScheduleInput => ({
  kind: "monthly",
  ...options,
});

/** On a day of the first (or the second, the third) month of every quarter. */
export const quarterly = (options: Options<"quarterly">): ScheduleInput => ({
  kind: "quarterly",
  ...options,
});

/** By the five fields of crontab: `cron("0 3 1 * *", { timezone: "Europe/Berlin" })`. */
export const cron = (
  expression: string,
  options: Omit<Options<"cron">, "expression"> = {},
): ScheduleInput => ({ kind: "cron", expression, ...options });

/** When all that is given matches: `calendar({ dayOfWeek: "MON", dayOfMonth: "1-7", hour: 3 })`. */
export const calendar = (options: Options<"calendar">): ScheduleInput => ({
  kind: "calendar",
  ...options,
});

/** When a clock in a time zone shows a time that the calendar matches. */
export interface Timetable {
  readonly calendar: Calendar;
  readonly timezone: string;
}

/** Of a schedule that has been checked. */
export function timetableOf(schedule: Schedule): Timetable {
  return { calendar: calendarOf(schedule), timezone: schedule.timezone };
}

function calendarOf(schedule: Schedule): Calendar {
  switch (schedule.kind) {
    case "monthly":
      return onDay(schedule, "*");
    case "quarterly":
      return onDay(
        schedule,
        [0, 3, 6, 9].map((before) => before + schedule.month),
      );
    case "cron":
      return readCron(schedule.expression);
    case "calendar":
      return readCalendar(schedule);
  }
}

function onDay(
  { day, at }: { readonly day: number; readonly at: string },
  month: readonly number[] | "*",
): Calendar {
  const [hour = "", minute = ""] = at.split(":");
  return readCalendar({ minute, hour, dayOfMonth: day, month, dayOfWeek: "*" });
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** 29 February on one day of the week comes every 28 years, and around 2100 after 40. */
const SEARCH_YEARS = 41;

/** The nominal times from `from` on, in order, both ends included: jitter comes on top. */
export function* timesOf(
  { calendar, timezone }: Timetable,
  { from, until }: { readonly from: Date; readonly until?: Date },
): Generator<Date> {
  const clock = wallClock(timezone);
  const last = until?.getTime() ?? from.getTime() + SEARCH_YEARS * 366 * DAY_MS;
  // A day more at both ends: the zone's day is not UTC's.
  for (const day of matchingDays(calendar, from.getTime() - DAY_MS, last + DAY_MS)) {
    const instants = wallTimes(calendar, day).flatMap((wall) => instantsAt(clock, wall));
    for (const instant of instants.sort((a, b) => a - b))
      if (instant >= from.getTime() && instant <= last) yield new Date(instant);
  }
}

/** Times that the clocks skip when summer begins, as the wall would show them: nothing starts then. */
export function skippedTimes(
  { calendar, timezone }: Timetable,
  { from, until }: { readonly from: Date; readonly until: Date },
): string[] {
  const clock = wallClock(timezone);
  return [...matchingDays(calendar, from.getTime(), until.getTime())]
    .flatMap((day) => wallTimes(calendar, day))
    .filter((wall) => instantsAt(clock, wall).length === 0)
    .map((wall) => new Date(wall).toISOString().slice(0, 16).replace("T", " "));
}

/** Midnights of matching days, as if they were UTC's. */
function* matchingDays(calendar: Calendar, fromMs: number, untilMs: number): Generator<number> {
  for (let day = Math.floor(fromMs / DAY_MS) * DAY_MS; day <= untilMs; day += DAY_MS)
    if (matchesDay(calendar, new Date(day))) yield day;
}

const wallTimes = ({ hour, minute }: Calendar, dayMs: number): number[] =>
  hour.flatMap((h) => minute.map((m) => dayMs + (h * 60 + m) * 60_000));

export interface DueCycle {
  /** When it is due, without jitter: ISO. */
  readonly at: string;
  readonly cycle: string;
  readonly window: Window;
}

/** The cycle of a nominal time: late, retried or backfilled, it is the same. */
export function dueCycle(
  window: { readonly months: number; readonly pushbackDays: number },
  at: Date,
): DueCycle {
  const iso = at.toISOString();
  return { at: iso, cycle: cycleId(iso), window: cycleWindow(window, iso) };
}
