/** Tells people outside what waits for them, and what a fleet has begun. The channel's address is a secret of the worker. */
import type { ApprovalPolicy } from "../fleet/approval.schema.js";
import type { Deadline } from "../fleet/approval.js";
import {
  driftMessage,
  overBudgetMessage,
  stageWaitingMessage,
  waitingMessage,
} from "../fleet/notifications.js";
import type { CycleRef } from "./ledger/cycles.js";
import { readDriftFound, type DriftRunRef } from "./ledger/drift.js";
import { readWaiting, readWaitingForStage } from "./ledger/notifications.js";
import { tellOnce, type TellDependencies } from "./tell-once.js";

export interface NotifyOverBudgetInput extends CycleRef {
  /** What was allowed, spent and refused, in one sentence. */
  readonly because: string;
  /** Name of the secret with the webhook's URL. */
  readonly webhook: string;
}

export interface NotifyWaitingInput extends CycleRef, Pick<Deadline, "kind" | "after"> {
  readonly onExpiry: ApprovalPolicy["onExpiry"];
  /** Name of the secret with the webhook's URL. */
  readonly webhook: string;
}

export interface NotifyStageWaitingInput extends CycleRef, Pick<Deadline, "kind" | "after"> {
  readonly stage: string;
  /** ISO time: when the version that asks began to wait, as is on record by now. */
  readonly since: string;
  /** Name of the secret with the webhook's URL. */
  readonly webhook: string;
}

export interface NotifyDriftInput extends DriftRunRef {
  /** Name of the secret with the webhook's URL. */
  readonly webhook: string;
}

export const createNotificationActivities = (dependencies: TellDependencies) => ({
  /**
   * One message for all that wait in the cycle: the first release to reach the deadline sends it, the others find it
   * sent. Throws NotificationFailed; `nonRetryable` when sending again would not help.
   */
  notifyWaiting: (input: NotifyWaitingInput): Promise<void> =>
    tellOnce(dependencies, nameOf(input), {
      webhook: input.webhook,
      message: async () => {
        const models = await readWaiting(dependencies.ledger, input);
        // All decided in this moment: there is nothing to tell any more.
        return models.waiting === 0 ? null : waitingMessage(models, input, input.onExpiry);
      },
    }),

  /**
   * One message for all of the cycle that wait for the stage's own approval: the first to reach the deadline sends it.
   * Those who begin to wait after it was sent get another when their time comes. Throws as notifyWaiting does.
   */
  notifyStageWaiting: (input: NotifyStageWaitingInput): Promise<void> =>
    tellOnce(
      dependencies,
      { ...nameOf(input), stage: input.stage },
      {
        ...{ webhook: input.webhook, since: input.since },
        message: async () => {
          const models = await readWaitingForStage(dependencies.ledger, input);
          return models.waiting === 0 ? null : stageWaitingMessage(models, input);
        },
      },
    ),

  /** One message a look that has customers retrained. Throws as notifyWaiting does. */
  notifyDrift: ({ fleet, run, webhook }: NotifyDriftInput): Promise<void> =>
    tellOnce(
      dependencies,
      { fleet, cycle: run, kind: "drift" },
      {
        webhook,
        message: async () =>
          driftMessage(await readDriftFound(dependencies.ledger, { fleet, run })),
      },
    ),

  /** One message a cycle, until it is opened again. Throws as notifyWaiting does. */
  notifyOverBudget: ({ fleet, cycle, because, webhook }: NotifyOverBudgetInput): Promise<void> =>
    tellOnce(
      dependencies,
      { fleet, cycle, kind: "budget" },
      { webhook, message: async () => overBudgetMessage({ fleet, cycle, because }) },
    ),
});
export type NotificationActivities = ReturnType<typeof createNotificationActivities>;

const nameOf = ({ fleet, cycle, kind }: CycleRef & Pick<Deadline, "kind">) => ({
  ...{ fleet, cycle, kind },
});
