/** Finds how long a version may wait for a decision, and whether it still has to. */
import type pg from "pg";
import { deadlinesOf, type Deadline } from "../fleet/approval.js";
import type { ApprovalPolicy } from "../fleet/approval.schema.js";
import { readRegistered } from "./ledger/decisions.js";
import type { CycleRef } from "./ledger/cycles.js";
import { readSpec } from "./ledger/specs.js";

export interface ApprovalDependencies {
  readonly ledger: pg.Pool;
}

export interface FindApprovalInput extends CycleRef {
  readonly customerKey: string;
  readonly version: number;
}

export interface FoundApproval {
  /** A newer version of the customer that was registered meanwhile. */
  readonly supersededBy: number | null;
  readonly deadlines: readonly Deadline[];
  readonly onExpiry: ApprovalPolicy["onExpiry"];
  /** Name of the secret with the webhook's URL. */
  readonly webhook: string | null;
}

export const createApprovalActivities = ({ ledger }: ApprovalDependencies) => ({
  async findApproval(input: FindApprovalInput): Promise<FoundApproval> {
    const { specHash, newestVersion } = await readRegistered(ledger, input);
    const { approval } = await readSpec(ledger, { fleet: input.fleet, specHash });
    const supersededBy = newestVersion > input.version ? newestVersion : null;
    return { supersededBy, ...approvalOf(approval) };
  },
});
export type ApprovalActivities = ReturnType<typeof createApprovalActivities>;

export const approvalOf = (
  approval: ApprovalPolicy | undefined,
): Omit<FoundApproval, "supersededBy"> => ({
  deadlines: deadlinesOf(approval),
  onExpiry: approval?.onExpiry ?? "deny",
  webhook: approval?.webhook ?? null,
});
