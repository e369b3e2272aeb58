/** When a fleet is retrained: what may be declared, which times follow, and how it is said. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { calendar, cron, monthly, quarterly } from "../../index.js";
import { calendarWords } from "../../fleet/calendar.js";
import { secondsOf, durationText } from "../../fleet/duration.js";
import { dueCycle } from "../../fleet/schedule.js";
import { skippedTimes, timesOf, timetableOf } from "../../fleet/timetable.js";
import { scheduleSchema, type ScheduleInput } from "../../fleet/schedule.schema.js";
import { isTimeZone } from "../../fleet/time-zone.js";

const timetable = (schedule: ScheduleInput) => timetableOf(scheduleSchema.parse(schedule));
const wordsOf = (schedule: ScheduleInput) => calendarWords(timetable(schedule).calendar);

function nextTimes(schedule: ScheduleInput, from: string, count: number): string[] {
  const times: string[] = [];
  for (const time of timesOf(timetable(schedule), { from: new Date(from) })) {
    times.push(time.toISOString().replace(":00.000Z", "Z"));
    if (times.length === count) break;
  }
  return times;
}

/** `field: message` of everything that is wrong. */
function issuesOf(schedule: unknown): string {
  const { error } = scheduleSchema.safeParse(schedule);
  return (error?.issues ?? [])
    .map((issue) => `${issue.path.join(".")}: ${issue.message}`)
    .join("\n");
}

test("a short schedule is filled up with defaults", () => {
  expect(scheduleSchema.parse(monthly({ day: 1, at: "03:00" }))).toEqual({
    kind: "monthly",
    day: 1,
    at: "03:00",
    timezone: "UTC",
    jitter: "0s",
    overlap: "skip",
    catchupWindow: "7d",
  });
});

test("a checked schedule is checked again without a change, as the worker does", () => {
  const schedules = [
    monthly({ day: 28, at: "23:59", timezone: "Europe/Berlin", jitter: "10m" }),
    quarterly({ day: 1, at: "00:00", overlap: "buffer-one" }),
    cron("*/15 3 * * MON-FRI", { catchupWindow: "2d" }),
    calendar({ dayOfWeek: "MON", dayOfMonth: "1-7", hour: [3, 15] }),
  ];
  for (const schedule of schedules) {
    const parsed = scheduleSchema.parse(schedule);
    expect(scheduleSchema.parse(JSON.parse(JSON.stringify(parsed)))).toEqual(parsed);
  }
});

describe("the next times of", () => {
  test.each<[string, ScheduleInput, string, string[]]>([
    [
      "a month's first day",
      monthly({ day: 1, at: "03:00" }),
      "2026-11-21T00:00:00Z",
      ["2026-12-01T03:00Z", "2027-01-01T03:00Z"],
    ],
    [
      "a local time, in winter and in summer",
      monthly({ day: 1, at: "03:00", timezone: "Europe/Berlin" }),
      "2027-02-15T00:00:00Z",
      ["2027-03-01T02:00Z", "2027-04-01T01:00Z"],
    ],
    [
      "a quarter",
      quarterly({ day: 2, at: "04:30" }),
      "2026-11-21T00:00:00Z",
      ["2027-01-02T04:30Z", "2027-04-02T04:30Z"],
    ],
    [
      "a quarter's second month",
      quarterly({ month: 2, day: 2, at: "04:30" }),
      "2026-11-21T00:00:00Z",
      ["2027-02-02T04:30Z", "2027-05-02T04:30Z"],
    ],
    [
      "a cron expression",
      cron("30 3 1 */6 *"),
      "2026-11-21T00:00:00Z",
      ["2027-01-01T03:30Z", "2027-07-01T03:30Z"],
    ],
    [
      "weekdays, the week ending with Sunday",
      cron("0 6 * * SAT-SUN"),
      "2026-11-21T07:00:00Z",
      ["2026-11-22T06:00Z", "2026-11-28T06:00Z"],
    ],
    [
      "a month's first Monday: both must match",
      calendar({ dayOfWeek: "MON", dayOfMonth: "1-7", hour: 3 }),
      "2026-11-21T00:00:00Z",
      ["2026-12-07T03:00Z", "2027-01-04T03:00Z"],
    ],
    [
      "a time that is now",
      calendar({ hour: "*", minute: "*" }),
      "2026-11-21T10:00:00Z",
      ["2026-11-21T10:00Z", "2026-11-21T10:01Z"],
    ],
    [
      "29 February",
      cron("0 0 29 2 *"),
      "2026-11-21T00:00:00Z",
      ["2028-02-29T00:00Z", "2032-02-29T00:00Z"],
    ],
    [
      "a zone east of UTC's next day",
      monthly({ day: 1, at: "03:00", timezone: "Pacific/Auckland" }),
      "2026-11-30T13:00:00Z",
      ["2026-11-30T14:00Z", "2026-12-31T14:00Z"],
    ],
  ])("%s", (_what, schedule, from, times) => {
    expect(nextTimes(schedule, from, 2)).toEqual(times);
  });

  test("an hour that the clocks repeat comes twice, and one that they skip not at all: it is told", () => {
    const berlin = (expression: string) => cron(expression, { timezone: "Europe/Berlin" });
    expect(nextTimes(berlin("30 2 25 10 *"), "2026-01-01T00:00:00Z", 2)).toEqual([
      "2026-10-25T00:30Z",
      "2026-10-25T01:30Z",
    ]);
    const range = { from: new Date("2027-01-01"), until: new Date("2028-01-01") };
    expect([...timesOf(timetable(berlin("30 2 28 3 *")), range)]).toEqual([]);
    expect(skippedTimes(timetable(berlin("30 2 28 3 *")), range)).toEqual(["2027-03-28 02:30"]);
    expect(skippedTimes(timetable(berlin("30 3 28 3 *")), range)).toEqual([]);
  });

  test("are in order, and each shows the declared time on the zone's clock (property)", () => {
    const zones = [
      "UTC",
      "America/New_York",
      "Asia/Kolkata",
      "Australia/Lord_Howe",
      "Africa/Cairo",
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.integer({ min: 1, max: 28 }),
        fc.integer({ min: 3, max: 23 }),
        fc.integer({ min: 0, max: 59 }),
        fc.integer({ min: 2000, max: 2060 }),
        (timezone, day, hour, minute, year) => {
          const at = `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
          const schedule = monthly({ day, at, timezone });
          const until = new Date(Date.UTC(year + 1, 0, 1));
          const times = [
            ...timesOf(timetable(schedule), { from: new Date(Date.UTC(year)), until }),
          ];
          const shown = times.map((time) =>
            time.toLocaleString("sv-SE", { timeZone: timezone }).slice(8, 16),
          );
          expect(new Set(shown)).toEqual(new Set([`${String(day).padStart(2, "0")} ${at}`]));
          expect(times).toEqual([...times].sort((a, b) => a.getTime() - b.getTime()));
        },
      ),
      { numRuns: 60 },
    );
  });
});

test("a cycle's id and window follow from the time it was due", () => {
  expect(dueCycle({ months: 6, pushbackDays: 30 }, new Date("2026-12-01T03:00:00Z"))).toEqual({
    at: "2026-12-01T03:00:00.000Z",
    cycle: "2026-12-01t0300",
    window: { floor: "2026-05-01T03:00:00.000Z", ceiling: "2026-11-01T03:00:00.000Z" },
  });
});

describe("in words", () => {
  test.each<[ScheduleInput, string]>([
    [monthly({ day: 1, at: "03:00" }), "at 03:00 on day 1 of every month"],
    [quarterly({ day: 2, at: "04:30" }), "at 04:30 on day 2 of January, April, July, October"],
    [cron("0 3,15 * * *"), "at 03:00, 15:00 every day"],
    [cron("*/15 * * * *"), "at minute 0, 15, 30, 45 of every hour every day"],
    [
      cron("* 9-17 * * MON-FRI"),
      "every minute of hour 9-17 on Monday, Tuesday, Wednesday, Thursday, Friday",
    ],
    [cron("0 0 * 12 *"), "at 00:00 every day of December"],
    [
      calendar({ dayOfWeek: "MON", dayOfMonth: "1-7", hour: 3 }),
      "at 03:00 on day 1-7 of every month if it is a Monday",
    ],
  ])("%j", (schedule, words) => {
    expect(wordsOf(schedule)).toBe(words);
  });

  test("different calendars have different words (property)", () => {
    const subset = (min: number, max: number) =>
      fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: max - min + 1 });
    const calendars = fc.record({
      minute: subset(0, 59),
      hour: subset(0, 23),
      dayOfMonth: subset(1, 31),
      month: subset(1, 12),
      dayOfWeek: subset(0, 6),
    });
    const sorted = (value: object) =>
      JSON.stringify(
        Object.values(value).map((values: number[]) => [...values].sort((a, b) => a - b)),
      );
    fc.assert(
      fc.property(calendars, calendars, (one, other) => {
        const same = sorted(one) === sorted(other);
        const words = (fields: typeof one) => {
          const sets = Object.entries(fields).map(
            ([field, values]) => [field, [...values].sort((a, b) => a - b)] as const,
          );
          return calendarWords({ ...fields, ...Object.fromEntries(sets) });
        };
        expect(words(one) === words(other)).toBe(same);
      }),
    );
  });
});

describe("refused, with the field and what would be right", () => {
  test.each<[string, unknown, string]>([
    [
      "a zone that is none",
      monthly({ day: 1, at: "03:00", timezone: "Europe/Berln" }),
      "timezone: is no IANA time zone",
    ],
    [
      "a zone in the wrong case",
      monthly({ day: 1, at: "03:00", timezone: "europe/berlin" }),
      "timezone: is no IANA",
    ],
    [
      "an offset instead of a zone",
      monthly({ day: 1, at: "03:00", timezone: "+02:00" }),
      "timezone: is no IANA",
    ],
    ["a day that some months lack", monthly({ day: 31, at: "03:00" }), "day: not every month has"],
    ["a time that is none", monthly({ day: 1, at: "24:00" }), "at: a time of day"],
    ["a time without minutes", monthly({ day: 1, at: "3" }), "at: a time of day"],
    ["a month of no quarter", quarterly({ month: 4, day: 1, at: "03:00" }), "month: 1 to 3"],
    [
      "a jitter without unit",
      monthly({ day: 1, at: "03:00", jitter: "10" }),
      "jitter: a whole number with its unit",
    ],
    [
      "a jitter of weeks",
      monthly({ day: 1, at: "03:00", jitter: "14d" }),
      "jitter: a jitter of at most a day",
    ],
    [
      "a catch-up window that Temporal does not take",
      monthly({ day: 1, at: "03:00", catchupWindow: "5s" }),
      "catchupWindow: from 10s to 365d",
    ],
    [
      "a policy that is none",
      { ...monthly({ day: 1, at: "03:00" }), overlap: "queue" },
      "overlap: ",
    ],
    ["six fields of cron", cron("0 0 3 1 * *"), "expression: is no cron expression of five fields"],
    ["a shorthand", cron("@monthly"), "expression: is no cron expression of five fields"],
    ["a minute that is none", cron("60 3 1 * *"), 'expression: "60" is no minute: write 0 to 59'],
    ["a range that goes back", cron("0 3 5-1 * *"), 'expression: "5-1" is no day of the month'],
    ["a step of nothing", cron("*/0 3 1 * *"), 'expression: "*/0" is no minute'],
    ["words", cron("a b c d e"), 'expression: "a" is no minute'],
    [
      "days of both kinds in cron",
      cron("0 3 1-7 * MON"),
      "expression: names days of the month and days of the week",
    ],
    ["a day that never comes", cron("0 3 30 2 *"), "expression: no such day ever comes"],
    [
      "a day that never comes, in a calendar",
      calendar({ dayOfMonth: 31, month: [4, 6] }),
      "dayOfMonth: no such day",
    ],
    ["an hour that is none", calendar({ hour: 25 }), 'hour: "25" is no hour: write 0 to 23'],
    ["half an hour", calendar({ hour: 2.5 }), "hour: a whole number, a list of them"],
    [
      "a weekday that is none",
      calendar({ dayOfWeek: "MONN" }),
      'dayOfWeek: "MONN" is no day of the week',
    ],
    ["nothing of a list", calendar({ month: [] }), 'month: "[]" is no month'],
    ["a function's name", "monthly", "write monthly({ … })"],
    ["no kind", { day: 1, at: "03:00" }, "write monthly({ … })"],
    ["a misspelt option", { ...monthly({ day: 1, at: "03:00" }), timezon: "UTC" }, "timezon"],
  ])("%s", (_what, schedule, issue) => {
    expect(issuesOf(schedule)).toContain(issue);
  });
});

test.each(["UTC", "Europe/Berlin", "US/Pacific", "Etc/GMT+5", "America/Argentina/Buenos_Aires"])(
  "%s is a time zone",
  (zone) => {
    expect(isTimeZone(zone)).toBe(true);
  },
);

test("durations have one text each, and come back from it", () => {
  expect(["0s", "90s", "60m", "48h", "7d"].map((text) => durationText(secondsOf(text)))).toEqual([
    ...["0s", "90s", "1h", "2d", "7d"],
  ]);
  expect(["", "1.5h", "-1m", "3w", "m"].map(secondsOf)).toEqual([NaN, NaN, NaN, NaN, NaN]);
});
