/** Approves or denies a whole cohort by way of its release workflow, or has one that serves withdrawn. */
import { defineSearchAttributeKey } from "@temporalio/common";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";
import {
  DEFAULT_PACE,
  TASK_QUEUES,
  workflowIds,
  WORKFLOWS,
  type Decision,
  type WithdrawCohortInput,
} from "../workflows/messages.js";
import type { Cohort } from "./cohorts.js";
import type { Connections } from "./connections.js";
import { AlreadyDecided, askRelease, type Decided } from "./decisions.js";
import { stageOf } from "./invocation.js";

/** Throws ClientError with the release's own words when it refuses; AlreadyDecided when there is nothing to decide. */
export async function decideCohort(
  connections: Connections,
  cohort: Pick<Cohort, "fleet" | "version" | "state">,
  decision: Decision,
): Promise<Decided> {
  const { fleet, version, state } = cohort;
  const name = `version ${version} of all customers of "${fleet}"`;
  const workflowId = workflowIds.releaseCohort(fleet, version);
  const answer = await askRelease(connections, { workflowId, name }, decision);
  if (answer !== null) return answer;
  const mayServe = state === "published" || state === "approved";
  if (decision.verdict === "deny" && mayServe)
    return {
      ...decision,
      withdrawalWorkflowId: await startWithdrawal(connections, cohort, decision),
    };
  throw new AlreadyDecided(`${name} no longer waits for a decision`, `modelfleet history ${fleet}`);
}

/** Starts the withdrawal, or finds the one that is under way. */
async function startWithdrawal(
  connections: Connections,
  { fleet, version }: Pick<Cohort, "fleet" | "version">,
  decision: Decision,
): Promise<string> {
  const stage = await stageOf(connections, fleet);
  const workflowId = workflowIds.withdrawCohort(fleet, version);
  const input: WithdrawCohortInput = { fleet, stage, version, decision, pace: DEFAULT_PACE };
  const temporal = await connections.temporal();
  await temporal.workflow.start(WORKFLOWS.withdrawCohort, {
    workflowId,
    taskQueue: TASK_QUEUES.control,
    args: [input],
    workflowIdConflictPolicy: "USE_EXISTING",
    typedSearchAttributes: [
      { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"), value: fleet },
    ],
    staticSummary: `Withdraw version ${version} of all customers of ${fleet}`,
  });
  return workflowId;
}
