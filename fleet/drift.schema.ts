/** When a fleet is looked at for drift, and what counts as such: the fleet file's key `drift`. */
import { z } from "zod";
import { DURATION, durationText, secondsOf } from "./duration.js";
import { LIMITS } from "./limits.js";
import { timesOf, timetableOf } from "./timetable.js";
import { scheduleSchema, type Schedule } from "./schedule.schema.js";

const DAY_SECONDS = 24 * 60 * 60;

const declarationSchema = z.strictObject({
  /** `modelfleet apply` makes it a Temporal Schedule beside that of the retraining. */
  schedule: scheduleSchema,
  /** Rows that are compared: the newest days. By default all since the champion's window ended. */
  window: z.strictObject({ days: z.int().min(1, "at least one day of rows").max(3650) }).optional(),
  /** Population stability index of a column, above which its customer is retrained. */
  psi: z
    .number()
    .gt(0, "must be above 0: 0.1 is a moderate shift, 0.25 a large one")
    .max(
      10,
      "at most 10: windows that share no value come to that, and nothing would ever exceed it",
    )
    .default(0.25),
  /** Kolmogorov–Smirnov distance of a number's distributions, likewise; not looked at by default. */
  ks: z
    .number()
    .gt(0, "must be above 0: it is a share, such as 0.2")
    .lt(1, "must be below 1: no two distributions are further apart")
    .optional(),
  /** The champion's error on newly labelled rows; not looked at by default. */
  error: z
    .strictObject({
      /** Of the error now to the error at registration: 1.25 is a quarter more. */
      ratio: z.number().gt(1, "must be above 1: a champion whose error stays the same has ratio 1"),
      /** Rows of a customer that the endpoint is asked for. */
      sample: z
        .int()
        .min(30, "at least 30: fewer rows tell no error from chance")
        .max(LIMITS.driftSample)
        .default(200),
      /** Customers asked for in one run; those that were not for longest go first. */
      customers: z.int().min(1).max(LIMITS.customersPerFleet).default(500),
    })
    .optional(),
  /** Columns that are not looked at, such as the month of a date, which is another one every month. */
  ignore: z.array(z.string().min(1).max(63)).max(500).default([]),
  /** A customer with fewer rows than this, in either window, is left. */
  minimumRows: z
    .int()
    .min(50, "at least 50: figures of fewer rows are chance")
    .max(1_000_000)
    .default(200),
  /** After drift has retrained a customer, it is left for so long. */
  coolDown: z
    .string()
    .regex(DURATION, "a whole number with its unit s, m, h or d, such as 30d")
    .refine((text) => {
      const seconds = secondsOf(text);
      return Number.isNaN(seconds) || (seconds >= DAY_SECONDS && seconds <= 365 * DAY_SECONDS);
    }, "from 1d to 365d: a customer that is retrained every few hours has hardly any new rows to learn from")
    .default("30d"),
  /** Customers that one run retrains; the worst go first. */
  maxRetrainings: z.int().min(1).max(LIMITS.customersPerFleet).default(20),
});

export const driftSchema = declarationSchema.superRefine(({ schedule, coolDown }, context) => {
  // Of a schedule that is none there are no times.
  if (context.issues.length > 0) return;
  const apart = secondsApart(schedule);
  if (!(secondsOf(coolDown) < apart)) return;
  context.addIssue({
    code: "custom",
    path: ["coolDown"],
    message:
      `is ${coolDown}, and the schedule looks every ${durationText(apart)} at the most often: no customer would still ` +
      "cool down at the next look. Give it longer than that, or look more often",
  });
});

/** Any year: the shortest time between two looks within it. A year for one that hardly ever comes. */
function secondsApart(schedule: Schedule): number {
  const [from, until] = [new Date("2025-01-01T00:00:00Z"), new Date("2026-01-31T00:00:00Z")];
  let [shortest, last] = [Infinity, NaN];
  for (const time of timesOf(timetableOf(schedule), { from, until })) {
    const apart = (time.getTime() - last) / 1000;
    if (apart < shortest) shortest = apart;
    last = time.getTime();
    if (shortest <= DAY_SECONDS) break; // No cool-down is shorter.
  }
  return Math.min(shortest, 365 * DAY_SECONDS);
}

export type DriftPolicy = z.infer<typeof driftSchema>;
export type DriftInput = z.input<typeof driftSchema>;
