/** What people are told by a fleet's webhook: what waits for them, what has happened, and the commands that act on it. */
import type { ApprovalPolicy } from "./approval.schema.js";
import type { Deadline, DeadlineKind } from "./approval.js";
import { figureWords, type DriftFigure } from "./drift.js";

export interface Message {
  readonly title: string;
  readonly body: string;
  /** Commands that act on it. */
  readonly commands: readonly string[];
}

/** How many customers a message names. */
export const SHOWN_CUSTOMERS = 8;

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

/** For the release's first decision. */
export function waitingMessage(
  models: WaitingModels,
  { kind, after }: Pick<Deadline, "kind" | "after">,
  onExpiry: ApprovalPolicy["onExpiry"],
): Message {
  const { fleet, cycle, waiting, isCohort } = models;
  const what = `${theyWait(waiting)} for ${isCohort && waiting > 1 ? "one" : "a"} decision`;
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
    body: `Cycle ${cycle}: ${some(models)}.` + (kind === "expire" ? ` ${expiry}` : ""),
    commands: [
      `modelfleet models ${fleet} --pending`,
      isCohort
        ? `modelfleet approve ${fleet} --cohort ${cycle}`
        : `modelfleet approve ${fleet} --where 'improvement >= 0.02'`,
    ],
  };
}

/** For the approval of its own that a stage wants. A stage waits as long as it takes: nothing expires. */
export function stageWaitingMessage(
  models: WaitingModels,
  {
    stage,
    kind,
    after,
  }: { readonly stage: string; readonly kind: DeadlineKind; readonly after: string },
): Message {
  const { fleet, cycle, waiting, customers, isCohort } = models;
  const longer = kind === "remind" ? "" : ` for more than ${after}`;
  return {
    title: `${fleet}: ${theyWait(waiting)} for the approval of stage ${stage}${longer}`,
    body: `Cycle ${cycle}: ${some(models)}. What serves in the stages before serves on meanwhile.`,
    commands: [
      `modelfleet status ${fleet} --stages`,
      isCohort
        ? `modelfleet approve ${fleet} --cohort ${cycle} --stage ${stage}`
        : `modelfleet approve ${fleet} ${customers.map(word).join(" ")} --stage ${stage}`,
    ],
  };
}

/** A stage in an account that does not let the worker in. */
export interface ClosedStage {
  readonly fleet: string;
  readonly stage: string;
  readonly account: string;
  /** ISO time. */
  readonly since: string;
}

export const stageClosedMessage = (
  { fleet, stage, account, since }: ClosedStage,
  because: string,
): Message => ({
  title: `${fleet}: stage ${stage} cannot be reached since ${minute(since)}`,
  body:
    `Account ${account}: ${shortened(because)}. What is on its way into the stage waits and is tried again for some ` +
    "hours; what serves there serves on, and other stages go on.",
  commands: ["modelfleet doctor", `modelfleet status ${fleet} --stages`],
});

export const stageBackMessage = ({ fleet, stage, account, since }: ClosedStage): Message => ({
  title: `${fleet}: stage ${stage} can be reached again`,
  body: `Account ${account} did not let the worker in since ${minute(since)}. What still waits goes on by itself.`,
  commands: [`modelfleet status ${fleet} --stages`],
});

/** Versions that shall no longer serve in a stage, and do. */
export interface DelayedWithdrawals {
  readonly fleet: string;
  readonly stage: string;
  readonly waiting: number;
  /** A few of their customers. */
  readonly customers: readonly string[];
}

export function delayMessage(delayed: DelayedWithdrawals, because: string): Message {
  const { fleet, stage, waiting } = delayed;
  const what =
    waiting === 1
      ? "1 version that was denied serves on"
      : `${waiting} versions that were denied serve on`;
  return {
    title: `${fleet}: ${what} in stage ${stage}`,
    body: `${some(delayed)}: ${shortened(because)}. It is tried again until it is done.`,
    commands: [
      `modelfleet endpoint ${fleet} --stage ${stage}`,
      `modelfleet status ${fleet} --stages`,
    ],
  };
}

/** What a look for drift has found, and has retrained. */
export interface DriftFound {
  readonly fleet: string;
  readonly run: string;
  readonly compared: number;
  readonly drifted: number;
  readonly retrained: number;
  /** A few of those that are retrained, the worst first. */
  readonly customers: readonly string[];
  /** Of the first of them. */
  readonly worst: DriftFigure | null;
  /** Drifted, and not retrained now: how many for which reason, the commonest first. */
  readonly left: readonly { readonly customers: number; readonly because: string }[];
}

const SHOWN_REASONS = 3;

export function driftMessage(found: DriftFound): Message {
  const { fleet, run, compared, drifted, retrained, customers, worst, left } = found;
  const title =
    retrained === 1
      ? "1 customer has drifted and is retrained"
      : `${retrained} customers have drifted and are retrained`;
  const figure = worst === null ? "" : ` The worst, ${customers[0] ?? ""}: ${figureWords(worst)}.`;
  const reasons = left
    .slice(0, SHOWN_REASONS)
    .map((one) => `${one.customers} as ${shortened(one.because)}`);
  if (left.length > SHOWN_REASONS) reasons.push("others for other reasons");
  const rest =
    left.length === 0 ? "" : ` Left for now: ${drifted - retrained} (${reasons.join("; ")}).`;
  return {
    title: `${fleet}: ${title}`,
    body: `Of ${compared} compared, ${drifted} have drifted. Retrained: ${some({ waiting: retrained, customers })}.${figure}${rest}`,
    commands: [
      `modelfleet drift ${fleet} --run ${run}`,
      `modelfleet status ${fleet} --cycle ${run}`,
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

const theyWait = (waiting: number): string =>
  waiting === 1 ? "1 model waits" : `${waiting} models wait`;

function some({
  waiting,
  customers,
}: {
  readonly waiting: number;
  readonly customers: readonly string[];
}): string {
  const more = waiting > customers.length ? `, and ${waiting - customers.length} more` : "";
  return `${customers.join(", ")}${more}`;
}

/** One word of a command line, whatever a customer is called. */
const word = (text: string): string =>
  /^[\w.:@%+/][\w.:@%+/-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

const minute = (at: string): string => `${at.slice(0, 16).replace("T", " ")} UTC`;

/** Without the full stop that our sentence ends with; a service's own words may be long. */
const shortened = (text: string): string => {
  const sentence = text.trim().replace(/\.$/, "");
  return sentence.length <= 400 ? sentence : `${sentence.slice(0, 399)}…`;
};
