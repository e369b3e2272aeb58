/** A calendar: the days and the minutes of a day that match, read from lists or from cron's notation. */
import { SpecError } from "./errors.js";

/** What matches, each sorted and without duplicates. A time matches when all five do. */
export interface Calendar {
  readonly minute: readonly number[];
  readonly hour: readonly number[];
  readonly dayOfMonth: readonly number[];
  /** 1 is January. */
  readonly month: readonly number[];
  /** 0 is Sunday. */
  readonly dayOfWeek: readonly number[];
}

export type CalendarField = keyof Calendar;

/** A number, a list of numbers, or text as cron has it, such as `1-5` or `MON,WED`. */
export type CalendarValue = number | readonly number[] | string;

export const MONTH_NAMES: readonly string[] = [
  ...["January", "February", "March", "April", "May", "June", "July", "August"],
  ...["September", "October", "November", "December"],
];

export const DAY_NAMES: readonly string[] = [
  ...["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"],
];

interface Bounds {
  readonly called: string;
  readonly lowest: number;
  readonly highest: number;
  /** Of the values from `lowest` on. */
  readonly names?: readonly string[];
}

const BOUNDS: Readonly<Record<CalendarField, Bounds>> = {
  minute: { called: "minute", lowest: 0, highest: 59 },
  hour: { called: "hour", lowest: 0, highest: 23 },
  dayOfMonth: { called: "day of the month", lowest: 1, highest: 31 },
  month: { called: "month", lowest: 1, highest: 12, names: MONTH_NAMES },
  dayOfWeek: { called: "day of the week", lowest: 0, highest: 6, names: DAY_NAMES },
};

export const isEvery = (field: CalendarField, values: readonly number[]): boolean =>
  values.length === BOUNDS[field].highest - BOUNDS[field].lowest + 1;

/** Throws a SpecError that names the value and what would be right. */
export function readField(field: CalendarField, value: CalendarValue): number[] {
  const parts =
    typeof value === "string"
      ? value.split(",")
      : (typeof value === "number" ? [value] : value).map(String);
  const values = new Set(parts.flatMap((part) => readPart(field, part.trim())));
  if (values.size === 0) throw wrongValue(field, "[]");
  return [...values].sort((a, b) => a - b);
}

/**
 * The five fields of crontab(5). Where cron takes a day that matches the day of the month or the day of the
 * week, Temporal takes one that matches both, so an expression that restricts both is refused.
 */
export function readCron(expression: string): Calendar {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5)
    throw new SpecError(
      `is no cron expression of five fields`,
      "write minute, hour, day of the month, month and day of the week, such as 0 3 1 * *",
    );
  const [minute = "", hour = "", dayOfMonth = "", month = "", dayOfWeek = ""] = fields;
  const calendar = readCalendar({ minute, hour, dayOfMonth, month, dayOfWeek });
  const days = isEvery("dayOfMonth", calendar.dayOfMonth) ? 0 : 1;
  if (days + (isEvery("dayOfWeek", calendar.dayOfWeek) ? 0 : 1) === 2)
    throw new SpecError(
      "names days of the month and days of the week: cron means either, Temporal means both",
      "leave one of them *, or use calendar({ … }), where both must match",
    );
  return calendar;
}

export function readCalendar(fields: Readonly<Record<CalendarField, CalendarValue>>): Calendar {
  return {
    minute: readField("minute", fields.minute),
    hour: readField("hour", fields.hour),
    dayOfMonth: readField("dayOfMonth", fields.dayOfMonth),
    month: readField("month", fields.month),
    dayOfWeek: readField("dayOfWeek", fields.dayOfWeek),
  };
}

const LONGEST_MONTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Whether any day ever matches: 30 February does not. */
export const everMatches = ({ month, dayOfMonth }: Calendar): boolean =>
  month.some((one) => dayOfMonth.some((day) => day <= (LONGEST_MONTHS[one - 1] ?? 0)));

/** Whether the calendar matches a day, given as its midnight in UTC. */
export const matchesDay = ({ month, dayOfMonth, dayOfWeek }: Calendar, day: Date): boolean =>
  month.includes(day.getUTCMonth() + 1) &&
  dayOfMonth.includes(day.getUTCDate()) &&
  dayOfWeek.includes(day.getUTCDay());

/** As a person says it; different calendars have different words. */
export function calendarWords(calendar: Calendar): string {
  return `${clockWords(calendar)} ${dayWords(calendar)}`;
}

function clockWords({ minute, hour }: Calendar): string {
  const [only] = minute;
  if (only !== undefined && minute.length === 1 && hour.length <= 4)
    return `at ${hour.map((one) => `${two(one)}:${two(only)}`).join(", ")}`;
  const minutes = isEvery("minute", minute) ? "every minute" : `at minute ${listed(minute)}`;
  return `${minutes} of ${isEvery("hour", hour) ? "every hour" : `hour ${listed(hour)}`}`;
}

function dayWords({ dayOfMonth, month, dayOfWeek }: Calendar): string {
  const everyDay = isEvery("dayOfMonth", dayOfMonth);
  const everyWeekday = isEvery("dayOfWeek", dayOfWeek);
  const weekdays = dayOfWeek.map((day) => DAY_NAMES[day]).join(", ");
  const months = isEvery("month", month)
    ? "every month"
    : month.map((one) => MONTH_NAMES[one - 1]).join(", ");
  if (everyDay) {
    const of = isEvery("month", month) ? "" : ` of ${months}`;
    return everyWeekday ? `every day${of}` : `on ${weekdays}${of}`;
  }
  const on = `on day ${listed(dayOfMonth)} of ${months}`;
  return everyWeekday ? on : `${on} if it is a ${weekdays}`;
}

/** Runs of neighbours, each with its first and its last value. */
export function runsOf(
  values: readonly number[],
): { readonly start: number; readonly end: number }[] {
  const runs: { start: number; end: number }[] = [];
  for (const value of values) {
    const last = runs.at(-1);
    if (last !== undefined && last.end === value - 1) last.end = value;
    else runs.push({ start: value, end: value });
  }
  return runs;
}

const listed = (values: readonly number[]): string =>
  runsOf(values)
    .map(({ start, end }) => (start === end ? String(start) : `${start}-${end}`))
    .join(", ");

const two = (value: number): string => String(value).padStart(2, "0");

// `5`, `MON`, `1-5` or `*`, each perhaps with a step such as `/15`.
function readPart(field: CalendarField, part: string): number[] {
  const { lowest, highest } = BOUNDS[field];
  const [, from, to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d{1,2}))?$/.exec(part) ?? [];
  if (from === undefined || (from === "*" && to !== undefined)) throw wrongValue(field, part);
  const start = from === "*" ? lowest : readValue(field, from, part);
  const open = from === "*" || step !== undefined;
  const last = to === undefined ? (open ? highest : start) : readValue(field, to, part);
  // A week may end with Sunday: FRI-SUN.
  const end = field === "dayOfWeek" && last === 0 && start > 0 ? 7 : last;
  const by = step === undefined ? 1 : Number(step);
  if (by === 0 || end < start) throw wrongValue(field, part);
  const values: number[] = [];
  for (let value = start; value <= end; value += by)
    values.push(field === "dayOfWeek" ? value % 7 : value);
  return values;
}

function readValue(field: CalendarField, text: string, part: string): number {
  const { lowest, highest, names = [] } = BOUNDS[field];
  const word = text.toLowerCase();
  const named = names.findIndex((name) =>
    [name.toLowerCase(), name.toLowerCase().slice(0, 3)].includes(word),
  );
  if (named >= 0) return named + lowest;
  const value = /^\d{1,2}$/.test(text) ? Number(text) : NaN;
  if (value >= lowest && value <= highest) return value;
  if (field === "dayOfWeek" && value === 7) return value; // Sunday, too.
  throw wrongValue(field, part);
}

function wrongValue(field: CalendarField, part: string): SpecError {
  const { called, lowest, highest, names } = BOUNDS[field];
  const named =
    names === undefined ? "" : `, or names such as ${names[1]?.slice(0, 3).toUpperCase() ?? ""}`;
  return new SpecError(
    `"${part}" is no ${called}`,
    `write ${lowest} to ${highest}${named}; a range as ${lowest}-${lowest + 4}, steps as */2, lists with commas`,
  );
}
