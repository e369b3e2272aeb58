/** The functions that a fleet file declares its schedule with, and the cycles that follow from it. */
import { cycleId } from "./names.js";
import type { ScheduleInput } from "./schedule.schema.js";
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
