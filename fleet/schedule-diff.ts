/** Compares the schedule that a fleet file declares with the one that stands and the one last applied. */
import { calendarWords } from "./calendar.js";
import { canonicalJson, sha256Hex } from "./canonical-json.js";
import { secondsOf, durationText } from "./duration.js";
import type { Schedule } from "./schedule.schema.js";
import { timetableOf } from "./timetable.js";
import type { FleetSpec } from "./spec.schema.js";

/** Fields, as the fleet file names them, with their values as a person reads them. Equal texts mean the same. */
export type Facts = ReadonlyMap<string, string>;

export interface ScheduleFacts {
  /** When and how cycles are started. */
  readonly schedule: Facts;
  /** What they are started with: the fleet. */
  readonly fleet: Facts;
}

/** What was applied last: enough to tell a hand's edit from the file's. */
export interface AppliedFacts {
  readonly schedule: Readonly<Record<string, string>>;
  /** `factsHash` of the fleet. */
  readonly fleetHash: string;
}

export interface ScheduleChange {
  readonly field: string;
  /** Null: it is not there. */
  readonly was: string | null;
  readonly becomes: string | null;
  /** What stands is not what was applied: somebody has edited it since, by hand. */
  readonly editedByHand: boolean;
}

/** `starts` says which workflow is started, and how; it is no field of the file. */
export function declaredFacts(spec: FleetSpec, schedule: Schedule, starts: string): ScheduleFacts {
  const { calendar, timezone } = timetableOf(schedule);
  return {
    schedule: new Map([
      ["schedule", calendarWords(calendar)],
      ["schedule.timezone", timezone],
      ["schedule.jitter", durationText(secondsOf(schedule.jitter))],
      ["schedule.overlap", schedule.overlap],
      ["schedule.catchupWindow", durationText(secondsOf(schedule.catchupWindow))],
      ["schedule.starts", starts],
    ]),
    fleet: fleetFacts(spec),
  };
}

/** Leaves of a spec by their paths; lists are leaves. The schedule is told apart, by what Temporal holds. */
export function fleetFacts(spec: object): Facts {
  const facts = new Map<string, string>();
  const add = (value: unknown, path: string): void => {
    if (path === "schedule" || value === undefined) return;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      facts.set(path, typeof value === "string" && !isJson(value) ? value : canonicalJson(value));
      return;
    }
    for (const [key, inner] of Object.entries(value))
      add(inner, path === "" ? key : `${path}.${key}`);
  };
  add(spec, "");
  return facts;
}

/** "5" is not 5. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export const factsHash = (facts: Facts): string =>
  sha256Hex(canonicalJson([...facts].sort(([a], [b]) => (a < b ? -1 : 1))));

export const appliedFacts = ({ schedule, fleet }: ScheduleFacts): AppliedFacts => ({
  schedule: Object.fromEntries(schedule),
  fleetHash: factsHash(fleet),
});

/** In the order of the fields. Without a note of what was applied, all that differs was made by a hand. */
export function compareSchedules(
  standing: ScheduleFacts,
  declared: ScheduleFacts,
  applied: AppliedFacts | undefined,
): ScheduleChange[] {
  const fleetEdited = applied?.fleetHash !== factsHash(standing.fleet);
  return [
    ...compare(standing.schedule, declared.schedule, (field) => isEdited(standing, applied, field)),
    ...compare(standing.fleet, declared.fleet, () => fleetEdited),
  ];
}

/** What somebody has changed by hand since it was applied; unknown (undefined) without a note of that. */
export function editsSince(
  standing: ScheduleFacts,
  applied: AppliedFacts | undefined,
): ScheduleChange[] | undefined {
  if (applied === undefined) return undefined;
  const before = new Map(Object.entries(applied.schedule));
  const edits = compare(before, standing.schedule, () => true);
  if (applied.fleetHash === factsHash(standing.fleet)) return edits;
  return [...edits, { field: "the fleet", was: null, becomes: null, editedByHand: true }];
}

const isEdited = (
  standing: ScheduleFacts,
  applied: AppliedFacts | undefined,
  field: string,
): boolean =>
  applied === undefined ||
  standing.schedule.get(field) !== new Map(Object.entries(applied.schedule)).get(field);

function compare(
  before: Facts,
  after: Facts,
  editedByHand: (field: string) => boolean,
): ScheduleChange[] {
  const fields = new Set([...after.keys(), ...before.keys()]);
  return [...fields]
    .filter((field) => before.get(field) !== after.get(field))
    .map((field) => ({
      field,
      was: before.get(field) ?? null,
      becomes: after.get(field) ?? null,
      editedByHand: editedByHand(field),
    }));
}

/** Lines that differ, between the first and the last that do: `-` goes, `+` comes. */
export function changedLines(was: string, becomes: string): string[] {
  const [before, after] = [was.trimEnd().split("\n"), becomes.trimEnd().split("\n")];
  const shortest = Math.min(before.length, after.length);
  let same = 0;
  while (same < shortest && before[same] === after[same]) same++;
  let tail = 0;
  while (tail < shortest - same && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  return [
    ...before.slice(same, before.length - tail).map((line) => `- ${line}`),
    ...after.slice(same, after.length - tail).map((line) => `+ ${line}`),
  ];
}
