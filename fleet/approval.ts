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

/** What is told about a fleet's waiting models: one message a cycle and deadline, however many wait. */
export interface WaitingModels {
  readonly fleet: string;
  readonly cycle: string;
  readonly waiting: number;
  /** A few of their customers. */
  readonly customers: readonly string[];
  /** They are one cohort, which is decided as a whole. */
  readonly isCohort: boolean;
}

export interface Message {
  readonly title: string;
  readonly body: string;
  /** Commands that act on it. */
  readonly commands: readonly string[];
}

export function waitingMessage(
  models: WaitingModels,
  { kind, after }: Pick<Deadline, "kind" | "after">,
  onExpiry: ApprovalPolicy["onExpiry"],
): Message {
  const { fleet, cycle, waiting, customers, isCohort } = models;
  const wait = waiting === 1 ? "1 model waits" : `${waiting} models wait`;
  const what = `${wait} for ${isCohort && waiting > 1 ? "one" : "a"} decision`;
  const more = waiting > customers.length ? `, and ${waiting - customers.length} more` : "";
  const expiry =
    onExpiry === "deny"
      ? isCohort
        ? "They are denied, all at once."
        : "Each is denied when its own time is up."
      : "They wait on: the fleet declares no denial.";
  const titles: Readonly<Record<DeadlineKind, string>> = {
    remind: `${fleet}: ${what}`,
    escalate: `${fleet}: ${what} for more than ${after}`,
    expire: `${fleet}: ${what}, and the time for it, ${after}, is up`,
  };
  return {
    title: titles[kind],
    body:
      `Cycle ${cycle}: ${customers.join(", ")}${more}.` + (kind === "expire" ? ` ${expiry}` : ""),
    commands: [
      `modelfleet models ${fleet} --pending`,
      isCohort
        ? `modelfleet approve ${fleet} --cohort ${cycle}`
        : `modelfleet approve ${fleet} --where 'improvement >= 0.02'`,
    ],
  };
}

/** What is told when a cycle has stopped for its budget. */
export const overBudgetMessage = ({
  fleet,
  cycle,
  because,
}: {
  readonly fleet: string;
  readonly cycle: string;
  readonly because: string;
}): Message => ({
  title: `${fleet}: cycle ${cycle} starts no more jobs, its budget is reached`,
  body: `${because}. What runs goes on; to train the rest, raise the budget and run the cycle again.`,
  commands: [
    `modelfleet cost ${fleet} --cycle ${cycle}`,
    `modelfleet status ${fleet} --cycle ${cycle}`,
  ],
});
