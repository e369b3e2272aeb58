/** What the release of a cohort needs beside its publication: its deadlines, its decision on record, its errands. */
import { UpdateModelPackageCommand, type SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { Client } from "@temporalio/client";
import type pg from "pg";
import {
  DEFAULT_PACE,
  publishCohort,
  withdrawMembers,
  WORKFLOWS,
  type CohortPublication,
  type CohortWithdrawal,
  type Decision,
  type Pace,
} from "../workflows/messages.js";
import { approvalOf, type FoundApproval } from "./approval.js";
import {
  newerCohort,
  readCohort,
  readServed,
  recordCohortVerdict,
  resolveMembers,
  type CohortRef,
  type CohortVerdict,
} from "./ledger/cohorts.js";
import { readSpec } from "./ledger/specs.js";
import { approvalDescription } from "./model-package-request.js";
import { withHeartbeat } from "./patience.js";
import { endpointOf } from "./publication.js";
import { startWithdrawal } from "./start-withdrawal.js";

export interface CohortReleaseDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly temporal: Client;
}

export interface CohortErrand {
  readonly fleet: string;
  readonly stage: string;
  readonly pace: Pace;
}

export const createCohortReleaseActivities = (dependencies: CohortReleaseDependencies) => ({
  async findCohortApproval(ref: CohortRef): Promise<FoundApproval> {
    const { ledger } = dependencies;
    const { specHash } = await readCohort(ledger, ref);
    const { approval } = await readSpec(ledger, { fleet: ref.fleet, specHash });
    return { supersededBy: await newerCohort(ledger, ref), ...approvalOf(approval) };
  },

  /**
   * Approves or rejects the cohort in the registry, which everybody trusts, and then each of its members in the
   * ledger, but for those that the decision leaves out: whichever of them a stage serves, as it takes what nobody has
   * approved, is withdrawn. Returns the names that are no members'. Heartbeats.
   */
  recordCohortDecision: (input: CohortVerdict): Promise<{ unknown: readonly string[] }> =>
    withHeartbeat(() => record(dependencies, input)),

  /** Signals `publishCohort`, starting serveEndpoint if it does not run: a workflow cannot do both at once. */
  async requestCohortPublication(
    errand: CohortErrand & { readonly publication: CohortPublication },
  ): Promise<void> {
    await dependencies.temporal.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
      ...endpointOf(errand),
      signal: publishCohort,
      signalArgs: [errand.publication],
    });
  },

  /** Signals `withdrawMembers`, starting serveEndpoint if it does not run. */
  async requestCohortWithdrawal(
    errand: CohortErrand & { readonly withdrawal: CohortWithdrawal },
  ): Promise<void> {
    await dependencies.temporal.workflow.signalWithStart(WORKFLOWS.serveEndpoint, {
      ...endpointOf(errand),
      signal: withdrawMembers,
      signalArgs: [errand.withdrawal],
    });
  },
});
export type CohortReleaseActivities = ReturnType<typeof createCohortReleaseActivities>;

async function record(
  { ledger, sagemaker, temporal }: CohortReleaseDependencies,
  verdict: CohortVerdict,
): Promise<{ unknown: readonly string[] }> {
  const { decision, state } = verdict;
  const { modelPackageArn } = await readCohort(ledger, verdict);
  const { keys, unknown } = await resolveMembers(ledger, verdict, decision.except ?? []);
  await sagemaker.send(
    new UpdateModelPackageCommand({
      ModelPackageArn: modelPackageArn,
      ModelApprovalStatus: state === "approved" ? "Approved" : "Rejected",
      ApprovalDescription: approvalDescription(decision),
    }),
  );
  await recordCohortVerdict(ledger, { ...verdict, except: keys });
  const { fleet, version } = verdict;
  const leftOut: Decision = { verdict: "deny", by: decision.by, note: "left out of its cohort" };
  for (const { customerKey, stage } of await readServed(ledger, verdict, keys))
    await startWithdrawal(
      temporal,
      { fleet, stage, customerKey, version, decision: leftOut, pace: DEFAULT_PACE },
      `Withdraw version ${version} of ${customerKey} of ${fleet}`,
    );
  return { unknown };
}
