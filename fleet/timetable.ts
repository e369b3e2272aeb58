/** The times of a schedule: when a clock in its zone shows what its calendar matches. */
import { type Calendar, matchesDay, readCalendar, readCron } from "./calendar.js";
import type { Schedule } from "./schedule.schema.js";
import { instantsAt, wallClock } from "./time-zone.js";

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
