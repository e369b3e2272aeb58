/** A schedule as Temporal holds it, in the words of a fleet file; and the other way about. */
import {
  DAYS_OF_WEEK,
  MONTHS,
  type CalendarSpec,
  type CalendarSpecDescription,
  type ScheduleDescription,
  type ScheduleOverlapPolicy,
  type ScheduleSpec,
} from "@temporalio/client";
import { calendarWords, isEvery, runsOf, type Calendar } from "../fleet/calendar.js";
import { secondsOf, durationText } from "../fleet/duration.js";
import { OVERLAP_POLICIES, type Schedule } from "../fleet/schedule.schema.js";
import { timetableOf } from "../fleet/timetable.js";
import { fleetFacts, type AppliedFacts, type ScheduleFacts } from "../fleet/schedule-diff.js";

/** The key of modelfleet's notes in memos: of the schedule, whose it is; of what it starts, what was applied. */
export const MEMO_KEY = "modelfleet";

export function standingFacts(standing: ScheduleDescription): ScheduleFacts {
  const { spec, policies, state, action } = standing;
  const rare: [string, string | undefined][] = [
    ["schedule.intervals", listed(spec.intervals)],
    ["schedule.skip", listed(spec.skip)],
    ["schedule.startAt", spec.startAt?.toISOString()],
    ["schedule.endAt", spec.endAt?.toISOString()],
    ["schedule.pauseOnFailure", policies.pauseOnFailure ? "true" : undefined],
    ["schedule.remainingActions", state.remainingActions?.toString()],
    ["schedule.limits", startLimits(action)],
  ];
  return {
    schedule: new Map([
      ["schedule", (spec.calendars ?? []).map(describedWords).join("; and ") || "never"],
      [
        "schedule.timezone",
        spec.timezone === undefined || spec.timezone === "" ? "UTC" : spec.timezone,
      ],
      ["schedule.jitter", durationText((spec.jitter ?? 0) / 1000)],
      ["schedule.overlap", overlapName(policies.overlap)],
      ["schedule.catchupWindow", durationText(policies.catchupWindow / 1000)],
      ["schedule.starts", startWords(action)],
      ...rare.flatMap(([field, text]): [string, string][] =>
        text === undefined ? [] : [[field, text]],
      ),
    ]),
    fleet: inputFacts(action.args),
  };
}

export function startWords(action: {
  readonly workflowType: string;
  readonly taskQueue: string;
  readonly workflowId?: string;
}): string {
  return `${action.workflowType} ${action.workflowId ?? ""}-<time> on ${action.taskQueue}`;
}

/** What `apply` has noted on what the schedule starts; a hand that replaces the action takes it away. */
export function appliedNote(
  standing: ScheduleDescription,
): (AppliedFacts & { readonly by: string; readonly at: string }) | undefined {
  const note = standing.action.memo?.[MEMO_KEY];
  if (!isRecord(note) || !isRecord(note.schedule)) return undefined;
  return {
    by: String(note.by),
    at: String(note.at),
    fleetHash: String(note.fleetHash),
    schedule: Object.fromEntries(
      Object.entries(note.schedule).map(([field, text]) => [field, String(text)]),
    ),
  };
}

/** In Temporal's terms. */
export function temporalSpec(schedule: Schedule): ScheduleSpec {
  const { calendar, timezone } = timetableOf(schedule);
  return {
    calendars: [temporalCalendar(calendar)],
    timezone,
    jitter: secondsOf(schedule.jitter) * 1000,
  };
}

export const temporalOverlap = (policy: Schedule["overlap"]): ScheduleOverlapPolicy =>
  OVERLAPS[policy];

/** The calendars that Temporal holds, when nothing but calendars says when it starts. */
export function standingCalendars({ spec }: ScheduleDescription): Calendar[] | undefined {
  const others = [...(spec.intervals ?? []), ...(spec.skip ?? [])];
  const calendars = spec.calendars ?? [];
  const plain = calendars.every((one) => describedExtras(one) === "");
  if (others.length > 0 || spec.startAt !== undefined || spec.endAt !== undefined || !plain)
    return undefined;
  return calendars.map(readDescribed);
}

const OVERLAPS = {
  skip: "SKIP",
  "buffer-one": "BUFFER_ONE",
  "buffer-all": "BUFFER_ALL",
  "cancel-other": "CANCEL_OTHER",
  "allow-all": "ALLOW_ALL",
} as const satisfies Record<(typeof OVERLAP_POLICIES)[number], ScheduleOverlapPolicy>;

const overlapName = (policy: ScheduleOverlapPolicy): string =>
  (policy ?? "SKIP").toLowerCase().replace("_", "-");

/** Temporal refuses a longer one. */
const LONGEST_COMMENT = 200;

function temporalCalendar(calendar: Calendar): CalendarSpec {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = calendar;
  return {
    comment: calendarWords(calendar).slice(0, LONGEST_COMMENT),
    minute: isEvery("minute", minute) ? "*" : runsOf(minute),
    hour: isEvery("hour", hour) ? "*" : runsOf(hour),
    dayOfMonth: isEvery("dayOfMonth", dayOfMonth) ? "*" : runsOf(dayOfMonth),
    month: isEvery("month", month) ? "*" : named(month, 1, MONTHS),
    dayOfWeek: isEvery("dayOfWeek", dayOfWeek) ? "*" : named(dayOfWeek, 0, DAYS_OF_WEEK),
  };
}

function named<Name>(values: readonly number[], first: number, names: readonly Name[]): Name[] {
  return values.flatMap((value) => names.slice(value - first, value - first + 1));
}

function describedWords(described: CalendarSpecDescription): string {
  return calendarWords(readDescribed(described)) + describedExtras(described);
}

/** Seconds and years: a fleet file has none. */
function describedExtras({ second, year }: CalendarSpecDescription): string {
  const seconds = expand(second, [0]);
  const years = expand(year, []);
  return (
    (seconds.length === 1 && seconds[0] === 0 ? "" : ` at second ${seconds.join(", ")}`) +
    (years.length === 0 ? "" : ` in ${years.join(", ")}`)
  );
}

function readDescribed(described: CalendarSpecDescription): Calendar {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = described;
  const monthNumber = (name: (typeof MONTHS)[number]) => MONTHS.indexOf(name) + 1;
  const dayNumber = (name: (typeof DAYS_OF_WEEK)[number]) => DAYS_OF_WEEK.indexOf(name);
  return {
    minute: expand(minute, [0]),
    hour: expand(hour, [0]),
    dayOfMonth: expand(dayOfMonth, upTo(1, 31)),
    month: expand(
      month.map(({ start, end, step }) => ({
        start: monthNumber(start),
        end: monthNumber(end),
        step,
      })),
      upTo(1, 12),
    ),
    dayOfWeek: expand(
      dayOfWeek.map(({ start, end, step }) => ({
        start: dayNumber(start),
        end: dayNumber(end),
        step,
      })),
      upTo(0, 6),
    ),
  };
}

function expand(
  ranges: readonly { readonly start: number; readonly end: number; readonly step: number }[],
  absent: readonly number[],
): number[] {
  if (ranges.length === 0) return [...absent];
  const values = ranges.flatMap(({ start, end, step }) =>
    upTo(start, Math.max(start, end)).filter((value) => (value - start) % Math.max(1, step) === 0),
  );
  return [...new Set(values)].sort((a, b) => a - b);
}

const upTo = (first: number, last: number): number[] =>
  Array.from({ length: last - first + 1 }, (_none, index) => first + index);

/** Of our input (`{ spec, … }`) the spec's leaves and the rest; of any other, its JSON. */
function inputFacts(args: readonly unknown[] | undefined): ReadonlyMap<string, string> {
  const [input, ...more] = args ?? [];
  if (!isRecord(input) || !isRecord(input.spec) || more.length > 0)
    return new Map([["input", JSON.stringify(args ?? [])]]);
  const { spec, ...rest } = input;
  const others = [...fleetFacts(rest)].map(([key, text]) => [`input.${key}`, text] as const);
  return new Map([...fleetFacts(spec), ...others]);
}

const START_LIMITS: readonly string[] = ["workflowExecutionTimeout", "workflowRunTimeout", "retry"];

function startLimits(action: object): string | undefined {
  const entries: [string, unknown][] = Object.entries(action);
  const set = entries.filter(([name, value]) => START_LIMITS.includes(name) && value != null);
  return set.length === 0 ? undefined : JSON.stringify(Object.fromEntries(set));
}

const listed = (values: readonly unknown[] | undefined): string | undefined =>
  values === undefined || values.length === 0 ? undefined : JSON.stringify(values);

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
