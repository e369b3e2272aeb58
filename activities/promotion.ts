/** Keeps on record how far a version has come through the stages, and tells older ones that they are overtaken. */
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import type pg from "pg";
import { COHORT_KEY } from "../fleet/names.js";
import type { Standing } from "../fleet/promotion.js";
import { overtaken } from "../workflows/messages.js";
import type { CohortRef } from "./ledger/cohorts.js";
import {
  newerServing,
  newerServingCohort,
  olderCohortsUnderWay,
  olderUnderWay,
  recordStandings,
} from "./ledger/promotions.js";
import type { ReleaseRef } from "./ledger/releases.js";

export interface PromotionDependencies {
  readonly ledger: pg.Pool;
  readonly temporal: Client;
}

/** How far it has come. */
export interface PromotionRecord {
  readonly standings: readonly Standing[];
  /** The version is approved, and a stage serves it. */
  readonly isServing: boolean;
}

export interface RecordPromotionInput extends ReleaseRef, PromotionRecord {}

export interface RecordCohortPromotionInput extends CohortRef, PromotionRecord {}

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
    if (isServing) await overtake(temporal, await olderUnderWay(ledger, release), release.version);
    return { overtakenBy: await newerServing(ledger, release) };
  },

  /** The same for a cohort, which moves as one: its standings are kept once, not for each of its members. */
  async recordCohortPromotion({
    isServing,
    standings,
    ...cohort
  }: RecordCohortPromotionInput): Promise<{ overtakenBy: number | null }> {
    await recordStandings(ledger, { ...cohort, customerKey: COHORT_KEY }, standings);
    if (isServing)
      await overtake(temporal, await olderCohortsUnderWay(ledger, cohort), cohort.version);
    return { overtakenBy: await newerServingCohort(ledger, cohort) };
  },
});

/** A release whose way is over needs not be told. */
async function overtake(
  temporal: Client,
  releases: readonly string[],
  version: number,
): Promise<void> {
  for (const workflowId of releases)
    try {
      await temporal.workflow.getHandle(workflowId).signal(overtaken, { version });
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
}

export type PromotionActivities = ReturnType<typeof createPromotionActivities>;
