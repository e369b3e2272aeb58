/** Keeps on record how far a version has come through the stages, and tells older ones that they are overtaken. */
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import type pg from "pg";
import type { Standing } from "../fleet/promotion.js";
import { overtaken } from "../workflows/messages.js";
import { newerServing, olderUnderWay, recordStandings } from "./ledger/promotions.js";
import type { ReleaseRef } from "./ledger/releases.js";

export interface PromotionDependencies {
  readonly ledger: pg.Pool;
  readonly temporal: Client;
}

export interface RecordPromotionInput extends ReleaseRef {
  readonly standings: readonly Standing[];
  /** The version is approved, and a stage serves it. */
  readonly isServing: boolean;
}

export const createPromotionActivities = ({ ledger, temporal }: PromotionDependencies) => ({
  /**
   * Records what every stage has to do with the version. One that is approved and serves sends `overtaken` to the
   * releases of older ones that are still on their way. Returns the version that has overtaken this one.
   */
  async recordPromotion({
    standings,
    isServing,
    ...release
  }: RecordPromotionInput): Promise<{ overtakenBy: number | null }> {
    await recordStandings(ledger, release, standings);
    if (isServing)
      for (const workflowId of await olderUnderWay(ledger, release))
        try {
          await temporal.workflow
            .getHandle(workflowId)
            .signal(overtaken, { version: release.version });
        } catch (error) {
          if (!(error instanceof WorkflowNotFoundError)) throw error;
        }
    return { overtakenBy: await newerServing(ledger, release) };
  },
});
export type PromotionActivities = ReturnType<typeof createPromotionActivities>;
