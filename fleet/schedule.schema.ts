/** When a fleet is retrained: the fleet file's key `schedule`. */
import { z } from "zod";
import { type Calendar, everMatches, readCalendar, readCron, readField } from "./calendar.js";
import { DURATION, secondsOf } from "./duration.js";
import { SpecError } from "./errors.js";
import { LIMITS } from "./limits.js";
import { isTimeZone } from "./time-zone.js";

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "a time of day with hours and minutes, such as 03:00");

const day = z
  .int()
  .min(1, "days of a month start at 1")
  .max(
    28,
    "not every month has the days 29 to 31, and would be left out: use 28, or 1 of the next",
  );

const duration = (lowest: number, highest: number, range: string) =>
  z
    .string()
    .regex(DURATION, "a whole number with its unit s, m, h or d, such as 10m")
    .refine((text) => {
      const seconds = secondsOf(text);
      return Number.isNaN(seconds) || (seconds >= lowest && seconds <= highest);
    }, range);

/** Temporal's policies, by its names. */
export const OVERLAP_POLICIES = [
  "skip",
  "buffer-one",
  "buffer-all",
  "cancel-other",
  "allow-all",
] as const;

const common = {
  /** IANA name of the zone whose clock counts. */
  timezone: z
    .string()
    .refine(isTimeZone, "is no IANA time zone, such as UTC or Europe/Berlin (case counts)")
    .default("UTC"),
  /** Starts up to this much later, at random: schedules of many fleets then do not start as one. */
  jitter: duration(0, LIMITS.scheduleJitterSeconds, "a jitter of at most a day").default("0s"),
  /** What happens when the cycle before has not ended: Temporal's overlap policy. */
  overlap: z.enum(OVERLAP_POLICIES).default("skip"),
  /** A start that was missed, since Temporal was down, is made up for within this time. */
  catchupWindow: duration(
    LIMITS.catchupWindowSeconds.lowest,
    LIMITS.catchupWindowSeconds.highest,
    "from 10s to 365d",
  ).default("7d"),
};

const value = z.union(
  [z.int(), z.array(z.int()), z.string()],
  "a whole number, a list of them, or text as in cron, such as 1-5",
);

export const scheduleSchema = z
  .discriminatedUnion(
    "kind",
    [
      z.strictObject({ kind: z.literal("monthly"), day, at: timeOfDay, ...common }),
      z.strictObject({
        kind: z.literal("quarterly"),
        /** Which month of the quarter. */
        month: z
          .int()
          .min(1, "1 to 3: a month of the quarter")
          .max(3, "1 to 3: a month of the quarter")
          .default(1),
        day,
        at: timeOfDay,
        ...common,
      }),
      z.strictObject({ kind: z.literal("cron"), expression: z.string(), ...common }),
      z.strictObject({
        kind: z.literal("calendar"),
        minute: value.default(0),
        hour: value.default(0),
        dayOfMonth: value.default("*"),
        month: value.default("*"),
        dayOfWeek: value.default("*"),
        ...common,
      }),
    ],
    "write monthly({ … }), quarterly({ … }), cron('…', { … }) or calendar({ … })",
  )
  .superRefine((schedule, context) => {
    const issue = (path: string[], message: string) =>
      context.addIssue({ code: "custom", path, message });
    const fields = { cron: ["expression"], calendar: ["dayOfMonth"], monthly: [], quarterly: [] };
    const calendar = read(schedule, issue);
    if (calendar !== undefined && !everMatches(calendar))
      issue(fields[schedule.kind], "no such day ever comes: no month that is named has it");
  });

export type ScheduleInput = z.input<typeof scheduleSchema>;
export type Schedule = z.infer<typeof scheduleSchema>;

/** Undefined when an issue was told, and for what needs no reading. */
function read(
  schedule: Schedule,
  issue: (path: string[], message: string) => void,
): Calendar | undefined {
  if (schedule.kind === "cron")
    return tell(
      () => readCron(schedule.expression),
      (said) => issue(["expression"], said),
    );
  if (schedule.kind !== "calendar") return undefined;
  const names = ["minute", "hour", "dayOfMonth", "month", "dayOfWeek"] as const;
  const wrong = names.filter(
    (name) =>
      tell(
        () => readField(name, schedule[name]),
        (said) => issue([name], said),
      ) === undefined,
  );
  return wrong.length === 0 ? readCalendar(schedule) : undefined;
}

function tell<T>(read: () => T, told: (message: string) => void): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    told(`${error.message}: ${error.hint}`);
    return undefined;
  }
}
