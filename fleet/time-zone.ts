/** Local clocks: which instants a wall clock's time stands for, in a time zone of the IANA database. */

const DAY_MS = 24 * 60 * 60 * 1000;

/** Names are compared with their case, as Temporal's server does. */
export function isTimeZone(name: string): boolean {
  // Intl also takes offsets, and any case.
  if (!/^[A-Z][A-Za-z0-9_+-]*(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

/** What a wall clock shows at an instant, both in milliseconds; the wall's as if it were UTC. */
export type WallClock = (instantMs: number) => number;

export function wallClock(timeZone: string): WallClock {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return (instantMs) => {
    const parts = new Map(
      format.formatToParts(instantMs).map(({ type, value }) => [type, Number(value)]),
    );
    const read = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
    const day = [read("year"), read("month") - 1, read("day")] as const;
    return Date.UTC(...day, read("hour"), read("minute"), read("second"));
  };
}

/**
 * One instant; none in the hour that the clocks skip in spring, two in the hour that they repeat in autumn.
 * Temporal takes a calendar in the same way: by what the clock shows.
 */
export function instantsAt(clock: WallClock, wallMs: number): number[] {
  const near = [wallMs - DAY_MS, wallMs + DAY_MS].map((instant) => clock(instant) - instant);
  return [...new Set(near)]
    .map((offset) => wallMs - offset)
    .filter((instant) => clock(instant) === wallMs)
    .sort((a, b) => a - b);
}
