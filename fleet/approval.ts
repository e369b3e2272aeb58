/** When people are told that a model still waits for a decision, and when it waits no longer. */
import type { ApprovalPolicy } from "./approval.schema.js";
import { secondsOf } from "./duration.js";

export type DeadlineKind = "remind" | "escalate" | "expire";

export interface Deadline {
  readonly kind: DeadlineKind;
  /** As the fleet file has it, for people. */
  readonly after: string;
  readonly seconds: number;
}

/** Soonest first, counted from the registration of the version. */
export function deadlinesOf(policy: ApprovalPolicy | undefined): Deadline[] {
  const declared: readonly (readonly [DeadlineKind, string | undefined])[] = [
    ["remind", policy?.remindAfter],
    ["escalate", policy?.escalateAfter],
    ["expire", policy?.expireAfter],
  ];
  return declared
    .flatMap(([kind, after]) =>
      after === undefined ? [] : [{ kind, after, seconds: secondsOf(after) }],
    )
    .sort((one, other) => one.seconds - other.seconds);
}

/** Whom a stage tells that versions wait for its own approval, and when; counted from the moment when they began to. */
export interface StageReminders {
  /** Reminder and escalation, soonest first: a stage waits as long as it takes, so nothing expires. */
  readonly deadlines: readonly Deadline[];
  /** Name of the secret with the webhook's URL. */
  readonly webhook: string;
}

/** Null when nobody is to be told. */
export function stageReminders(policy: ApprovalPolicy | undefined): StageReminders | null {
  const deadlines = deadlinesOf(policy).filter(({ kind }) => kind !== "expire");
  if (policy?.webhook === undefined || deadlines.length === 0) return null;
  return { deadlines, webhook: policy.webhook };
}
