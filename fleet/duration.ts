/** Durations as a fleet file has them: a whole number with its unit, such as `30m` or `2d`. */
import { SpecError } from "./errors.js";

/** A number with s, m, h or d. */
export const DURATION = /^(\d{1,9})([smhd])$/;

const UNIT_SECONDS = { d: 86_400, h: 3600, m: 60, s: 1 } as const;

/** NaN for what is no duration. */
export function secondsOf(text: string): number {
  const [, count, unit = ""] = DURATION.exec(text) ?? [];
  const seconds = Object.entries(UNIT_SECONDS).find(([name]) => name === unit)?.[1];
  return Number(count) * (seconds ?? NaN);
}

/** Throws SpecError, naming the field, when the text is no duration. */
export function durationSeconds(text: string, field: string): number {
  const seconds = secondsOf(text);
  if (Number.isNaN(seconds))
    throw new SpecError(
      `${field} is "${text}"`,
      "write a whole number with its unit s, m, h or d, such as 30m",
    );
  return seconds;
}

/** In the largest unit that leaves nothing over, so that equal durations have equal texts. */
export function durationText(seconds: number): string {
  const units = Object.entries(UNIT_SECONDS);
  const [unit, size] = units.find(([, size]) => seconds > 0 && seconds % size === 0) ?? ["s", 1];
  return `${seconds / size}${unit}`;
}
