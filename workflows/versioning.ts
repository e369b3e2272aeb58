/**
 * What a deploy does to workflows that run, where workers are versioned (MODELFLEET_DEPLOYMENT). The rest is PINNED,
 * the worker's default: a cycle, its shards, searches and withdrawals end on the build that they began with, however
 * much the next one differs. See docs/upgrade.md.
 */
import type { WorkflowDefinitionOptions } from "@temporalio/common";
import { setWorkflowOptions, workflowInfo } from "@temporalio/workflow";
import { releaseCohort } from "./release-cohort.js";
import { releaseModel } from "./release-model.js";
import { serveEndpoint } from "./serve-endpoint.js";
import { watchJobs } from "./watch-jobs.js";
import { watchRegistry } from "./watch-registry.js";

// These live as long as an endpoint or an account, or wait for a person for weeks: nobody keeps an old build up for
// so long. They move to the new one at their next step, so a change of theirs has to be patched.
// A worker without a version must not speak of it: Temporal refuses its workflow tasks.
const longLived = (): WorkflowDefinitionOptions => {
  const isVersioned = Boolean(workflowInfo().currentDeploymentVersion?.deploymentName);
  return isVersioned ? { versioningBehavior: "AUTO_UPGRADE" } : {};
};

setWorkflowOptions(longLived, serveEndpoint);
setWorkflowOptions(longLived, watchJobs);
setWorkflowOptions(longLived, watchRegistry);
setWorkflowOptions(longLived, releaseModel);
setWorkflowOptions(longLived, releaseCohort);
