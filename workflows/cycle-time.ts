/** Which cycle a run of retrainFleet is: the time it is for, and the id and window that follow from it. */
import { defineSearchAttributeKey } from "@temporalio/common";
import { upsertSearchAttributes, workflowInfo } from "@temporalio/workflow";
import { FAILURES } from "../fleet/errors.js";
import { cycleId } from "../fleet/names.js";
import { cycleWindow, type Window } from "../fleet/window.js";
import { workflowFailure } from "./failures.js";
import type { RetrainFleetInput } from "./messages.js";
import { attributeKeys } from "./search-attributes.js";

export interface Cycle {
  readonly fleet: string;
  readonly cycle: string;
  readonly window: Window;
}

/** Set by Temporal on what a schedule starts: the time it was due, also when it runs late or is backfilled. */
const scheduledStartTime = defineSearchAttributeKey("TemporalScheduledStartTime", "DATETIME");

/** Given, else when the schedule had it due, else now: ISO. */
export function cycleTime(at: string | undefined): string {
  const { typedSearchAttributes, startTime } = workflowInfo();
  return at ?? (typedSearchAttributes.get(scheduledStartTime) ?? startTime).toISOString();
}

export function nameCycle({
  spec,
  at,
  testing = false,
  drift = false,
}: Pick<RetrainFleetInput, "spec" | "at" | "testing" | "drift">): Cycle {
  const time = cycleTime(at);
  try {
    const cycle = cycleId(time, { testing, drift });
    return { fleet: spec.name, cycle, window: cycleWindow(spec.source.window, time) };
  } catch (error) {
    // A plain Error would repeat the workflow task for ever.
    const message = error instanceof Error ? error.message : String(error);
    throw workflowFailure({ type: FAILURES.specInvalid, message }, error);
  }
}

/** A schedule cannot know the cycle, so it is written here unless the starter gave it. */
export function tagCycle({ fleet, cycle }: Cycle): void {
  const given = workflowInfo().typedSearchAttributes;
  if (given.get(attributeKeys.cycle) === cycle && given.get(attributeKeys.fleet) === fleet) return;
  upsertSearchAttributes([
    { key: attributeKeys.fleet, value: fleet },
    { key: attributeKeys.cycle, value: cycle },
  ]);
}
