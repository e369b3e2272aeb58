/** Keeps on record how far a version has come through the stages, and tells older ones that they are overtaken. */
import { WorkflowNotFoundError, type Client } from "@temporalio/client";
import type pg from "pg";
import { stageReminders, type StageReminders } from "../fleet/approval.js";
import { COHORT_KEY } from "../fleet/names.js";
import type { Standing } from "../fleet/promotion.js";
import { overtaken } from "../workflows/messages.js";
import { readCohort, type CohortRef } from "./ledger/cohorts.js";
import { readRegistered } from "./ledger/decisions.js";
import {
  newerServing,
  newerServingCohort,
  olderCohortsUnderWay,
  olderUnderWay,
  recordStandings,
} from "./ledger/promotions.js";
import type { ReleaseRef } from "./ledger/releases.js";
import { readSpec } from "./ledger/specs.js";

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

export interface RecordedPromotion {
  /** The version that has overtaken this one. */
  readonly overtakenBy: number | null;
  /** While a stage waits for an approval of its own: who is told of that, and when; null: nobody. */
  readonly reminders: StageReminders | null;
}

export interface RecordPromotionInput extends ReleaseRef, PromotionRecord {}

export interface RecordCohortPromotionInput extends CohortRef, PromotionRecord {}

export const createPromotionActivities = ({ ledger, temporal }: PromotionDependencies) => ({
  /**
   * Records what every stage has to do with the version. One that is approved and serves sends `overtaken` to the
   * releases of older ones that are still on their way.
   */
  async recordPromotion({
    standings,
    isServing,
    ...release
  }: RecordPromotionInput): Promise<RecordedPromotion> {
    await recordStandings(ledger, release, standings);
    if (isServing) await overtake(temporal, await olderUnderWay(ledger, release), release.version);
    const { fleet } = release;
    const made = () => readRegistered(ledger, release);
    return {
      overtakenBy: await newerServing(ledger, release),
      reminders: await remindersOf(ledger, { fleet, standings, made }),
    };
  },

  /** The same for a cohort, which moves as one: its standings are kept once, not for each of its members. */
  async recordCohortPromotion({
    isServing,
    standings,
    ...cohort
  }: RecordCohortPromotionInput): Promise<RecordedPromotion> {
    await recordStandings(ledger, { ...cohort, customerKey: COHORT_KEY }, standings);
    if (isServing)
      await overtake(temporal, await olderCohortsUnderWay(ledger, cohort), cohort.version);
    const { fleet } = cohort;
    const made = () => readCohort(ledger, cohort);
    return {
      overtakenBy: await newerServingCohort(ledger, cohort),
      reminders: await remindersOf(ledger, { fleet, standings, made }),
    };
  },
});

/** By the spec that the version was `made` with. */
async function remindersOf(
  ledger: pg.Pool,
  {
    fleet,
    standings,
    made,
  }: {
    readonly fleet: string;
    readonly standings: readonly Standing[];
    readonly made: () => Promise<{ readonly specHash: string }>;
  },
): Promise<StageReminders | null> {
  if (!standings.some(({ state }) => state === "stage-approval")) return null;
  const { specHash } = await made();
  const { approval } = await readSpec(ledger, { fleet, specHash });
  return stageReminders(approval);
}

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
