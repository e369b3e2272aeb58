/** The window of event time that a cycle trains on, derived from the time the cycle is for. */
import { SpecError } from "./errors.js";

export interface Window {
  /** Inclusive, ISO 8601 in UTC. */
  readonly floor: string;
  /** Exclusive, ISO 8601 in UTC. */
  readonly ceiling: string;
}

export const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * `[floor, ceiling)`: the ceiling lies `pushbackDays` before `at`, the floor whole months before the ceiling.
 * A function of the cycle's id: seconds of `at` do not count, so a cycle started twice has one window.
 */
export function cycleWindow(
  { months, pushbackDays }: { readonly months: number; readonly pushbackDays: number },
  at: string,
): Window {
  const ceiling = new Date(parseTime(at).getTime() - pushbackDays * DAY_MS);
  const floor = monthsBefore(ceiling, months);
  if (floor.getUTCFullYear() < 1)
    throw new SpecError(
      `a window of ${months} months before ${at} starts before the year 1`,
      "shorten source.window.months",
    );
  return { floor: floor.toISOString(), ceiling: ceiling.toISOString() };
}

const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;

/**
 * A date (midnight UTC) or a time with its zone, to the minute. Without a zone the same text would name
 * another cycle on another machine, so it is refused.
 */
export function parseTime(at: string): Date {
  const milliseconds = ISO_TIME.test(at) && isCalendarDay(at.slice(0, 10)) ? Date.parse(at) : NaN;
  if (Number.isNaN(milliseconds))
    throw new SpecError(
      `"${at}" is no time`,
      "write a date such as 2013-07-01, or a time with its zone such as 2013-07-01T03:00:00Z",
    );
  return new Date(Math.floor(milliseconds / 60_000) * 60_000);
}

/** Date.parse takes 2013-02-30 for 2 March. */
function isCalendarDay(day: string): boolean {
  const parsed = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(day);
}

/** The same day and time that many months earlier; the month's last day where it is shorter. */
function monthsBefore(time: Date, months: number): Date {
  const earlier = new Date(time);
  earlier.setUTCDate(1);
  earlier.setUTCMonth(earlier.getUTCMonth() - months);
  const lastDay = new Date(
    Date.UTC(earlier.getUTCFullYear(), earlier.getUTCMonth() + 1, 0),
  ).getUTCDate();
  earlier.setUTCDate(Math.min(time.getUTCDate(), lastDay));
  return earlier;
}
