/** Which ways of training, tuning and serving go together. */
import type { z } from "zod";
import type { TuningSpec } from "./tuning.schema.js";

/** What of a fleet decides it. */
interface Parts {
  readonly training: {
    readonly kind: "script" | "sharded" | "pipeline";
    readonly maxRuntimeSeconds: number;
    readonly spot?: { readonly maxWaitSeconds: number } | undefined;
  };
  readonly endpoint: {
    readonly kind: "multi-model" | "serverless" | "dedicated" | "pipeline";
    readonly naming?: "versioned" | "stable" | undefined;
  };
  readonly tuning?: TuningSpec | undefined;
  readonly gate: { readonly segments: readonly unknown[] };
  readonly preparation?: unknown;
  readonly drift?: { readonly error?: unknown } | undefined;
}

/** Tells, with a sentence on why, what does not go together. */
export function checkCombination(parts: Parts, context: z.RefinementCtx): void {
  const { training, endpoint, gate } = parts;
  const issue = (path: string, message: string) =>
    context.addIssue({ code: "custom", path: path.split("."), message });
  const message = refusal(training.kind, endpoint.kind);
  if (message !== null) issue("endpoint", message);
  if (training.kind === "pipeline" && gate.segments.length > 0)
    issue(
      "gate.segments",
      "the models of pipeline(…) see prepared rows, in which the query's columns are no longer " +
        "told apart: leave segments out",
    );
  if (parts.preparation !== undefined && parts.drift?.error !== undefined)
    issue(
      "drift.error",
      "the models of a fleet with a preparation are asked about prepared rows, and new rows are not " +
        "prepared before a cycle: leave error out, and watch the columns by psi",
    );
  if (training.kind === "sharded")
    for (const [path, why] of shardedRefusals(parts)) issue(path, why);
}

/** One job for a whole cohort: what it cannot do, or does by itself. */
function shardedRefusals({ training, endpoint, tuning }: Parts): (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  const { spot, maxRuntimeSeconds } = training;
  if (spot !== undefined && spot.maxWaitSeconds < maxRuntimeSeconds)
    found.push([
      "training.spot.maxWaitSeconds",
      `must be at least training.maxRuntimeSeconds (${maxRuntimeSeconds}): the wait includes the run`,
    ]);
  if (endpoint.naming === "stable")
    found.push([
      "endpoint.naming",
      "training by sharded(…) publishes thousands of models at once, while those before serve on: " +
        'names that are overwritten would mix the two, so use naming: "versioned" (the default)',
    ]);
  if (tuning !== undefined) found.push(...packedRefusals(tuning));
  return found;
}

/** A search inside of a sharded job is one process of the script's: trial after trial, by Optuna. */
function packedRefusals(tuning: TuningSpec): (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  if (tuning.parallel > 1)
    found.push([
      "tuning.parallel",
      "a sharded fleet searches inside of its one job, where all cores are busy with customers: leave it out",
    ]);
  if (tuning.earlyStopping)
    found.push([
      "tuning.earlyStopping",
      "a sharded fleet's trials are no training jobs that SageMaker could stop: leave it out",
    ]);
  if (tuning.strategy === "Grid" || tuning.strategy === "Hyperband")
    found.push([
      "tuning.strategy",
      `a sharded fleet searches inside of its one job, by "Bayesian" or "Random", not by "${tuning.strategy}"`,
    ]);
  if (tuning.warmStart !== false && tuning.warmStart.siblings.length > 0)
    found.push([
      "tuning.warmStart.siblings",
      "a sharded fleet's searches begin with their own customer's earlier trials: leave it out",
    ]);
  return found;
}

function refusal(
  training: Parts["training"]["kind"],
  endpoint: Parts["endpoint"]["kind"],
): string | null {
  if (training === "pipeline" && endpoint === "serverless")
    return "SageMaker has no inference pipelines on serverless endpoints: use pipelineEndpoint(…)";
  if (training === "pipeline" && endpoint !== "pipeline")
    return (
      "training by pipeline(…) makes models that need its preprocessor before them: " +
      "use pipelineEndpoint(…)"
    );
  if (training !== "pipeline" && endpoint === "pipeline")
    return (
      "pipelineEndpoint(…) needs a preprocessor: declare training as pipeline(…), " +
      "or use multiModelEndpoint(…)"
    );
  if (training === "sharded" && endpoint !== "multi-model")
    return (
      "training by sharded(…) makes thousands of models: serve them with multiModelEndpoint(…), " +
      "an endpoint for each is beyond an account's quota"
    );
  return null;
}
