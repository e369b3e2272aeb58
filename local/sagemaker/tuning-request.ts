/** What a tuning job was asked to do, read from the document that Describe shows. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Documents } from "./documents.js";
import { validationError } from "./errors.js";
import type { Wire } from "./operations.js";
import { countPoints, readRanges } from "./tuning-ranges.js";
import type { Range } from "./tuning-ranges.js";

export type TuningJob = Documents["hyper-parameter-tuning-job"];
export type TuningConfig = Wire<sagemaker.HyperParameterTuningJobConfig>;
export type Definition = Wire<sagemaker.HyperParameterTrainingJobDefinition>;
export type CreateTuningJob = Wire<sagemaker.CreateHyperParameterTuningJobRequest>;

/** The metric that is searched for, and whether little or much of it is good. */
export interface Objective {
  readonly metric: string;
  readonly direction: "minimize" | "maximize";
}

/** Resource that a training job uses up: one unit for each value of the objective metric. */
export interface Hyperband {
  readonly minResource: number;
  readonly maxResource: number;
}

export interface TuningPlan {
  readonly strategy: "Bayesian" | "Random" | "Grid" | "Hyperband";
  readonly objective: Objective;
  readonly ranges: readonly Range[];
  readonly maxJobs: number;
  readonly parallelJobs: number;
  readonly maxRuntimeSeconds?: number;
  readonly stopsEarly: boolean;
  readonly hyperband?: Hyperband;
  readonly criteria: Wire<sagemaker.TuningJobCompletionCriteria>;
}

type Request = Pick<CreateTuningJob, "HyperParameterTuningJobConfig"> & {
  TrainingJobDefinition?: Definition;
};

/** Hyperband looks for its MaxResource here when the request does not say. AWS API, HyperbandStrategyConfig. */
const epochNames = ["epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs"];
const maxResourceLimit = 20_000;

/** Throws a ValidationException for what no search can be made of. */
export function readPlan(request: Request): TuningPlan {
  const { HyperParameterTuningJobConfig: config, TrainingJobDefinition } = request;
  const { ResourceLimits: limits, TrainingJobEarlyStoppingType = "Off" } = config;
  const ranges = readRanges(config.ParameterRanges ?? {});
  const hyperband = readHyperband(config, TrainingJobDefinition?.StaticHyperParameters ?? {});
  if (config.Strategy === "Hyperband" && TrainingJobEarlyStoppingType === "Auto")
    throw validationError("TrainingJobEarlyStoppingType must be Off for the strategy Hyperband.");
  return {
    strategy: config.Strategy,
    objective: readObjective(config),
    ranges,
    maxJobs: readMaxJobs(config, ranges),
    parallelJobs: limits.MaxParallelTrainingJobs,
    ...(limits.MaxRuntimeInSeconds !== undefined && {
      maxRuntimeSeconds: limits.MaxRuntimeInSeconds,
    }),
    stopsEarly: TrainingJobEarlyStoppingType === "Auto",
    ...(hyperband && { hyperband }),
    criteria: config.TuningJobCompletionCriteria ?? {},
  };
}

export function readObjective(
  config: Pick<TuningConfig, "HyperParameterTuningJobObjective">,
): Objective {
  const { HyperParameterTuningJobObjective: objective } = config;
  if (objective === undefined)
    throw validationError("HyperParameterTuningJobConfig needs HyperParameterTuningJobObjective.");
  const { MetricName: metric, Type } = objective;
  return { metric, direction: Type === "Minimize" ? "minimize" : "maximize" };
}

function readMaxJobs(config: TuningConfig, ranges: readonly Range[]): number {
  const { Strategy, ResourceLimits, TuningJobCompletionCriteria } = config;
  const { MaxNumberOfTrainingJobs: wanted, MaxParallelTrainingJobs: parallel } = ResourceLimits;
  const points = countPoints(ranges);
  if (Strategy === "Grid") return readGridJobs(wanted, ranges);
  if (wanted === undefined) {
    const isBounded = ResourceLimits.MaxRuntimeInSeconds ?? TuningJobCompletionCriteria;
    if (isBounded === undefined)
      throw validationError(
        `The strategy ${Strategy} needs MaxNumberOfTrainingJobs, MaxRuntimeInSeconds or TuningJobCompletionCriteria.`,
      );
    return points;
  }
  if (points < wanted)
    throw validationError(
      "You don't have enough combinations of hyperparameter ranges. " +
        `The total number of hyperparameter combinations for the provided ranges [${points.toFixed(1)}] ` +
        `must be equal or greater than the value of MaxNumberOfJobs, [${wanted}]. Provide additional ranges.`,
    );
  if (parallel > wanted)
    throw validationError(
      `MaxParallelTrainingJobs ${parallel} must not be greater than MaxNumberOfTrainingJobs ${wanted}.`,
    );
  return wanted;
}

function readGridJobs(wanted: number | undefined, ranges: readonly Range[]): number {
  const other = ranges.find(({ kind }) => kind !== "categorical");
  if (other !== undefined)
    throw validationError(
      `The strategy Grid searches categorical hyperparameters only: ${other.name} is ${other.kind}.`,
    );
  const points = countPoints(ranges);
  if (wanted !== undefined && wanted !== points)
    throw validationError(
      `With the strategy Grid, MaxNumberOfTrainingJobs must be left out or be the number of combinations, ${points}: it is ${wanted}.`,
    );
  return points;
}

function readHyperband(
  { Strategy, StrategyConfig }: TuningConfig,
  statics: Readonly<Record<string, string>>,
): Hyperband | undefined {
  const given = StrategyConfig?.HyperbandStrategyConfig;
  if (Strategy !== "Hyperband") {
    if (given === undefined) return undefined;
    throw validationError("HyperbandStrategyConfig is only for the strategy Hyperband.");
  }
  const epochs = epochNames.map((name) => statics[name]).find((value) => value !== undefined);
  const maxResource = given?.MaxResource ?? Number(epochs);
  if (!Number.isInteger(maxResource) || maxResource < 1)
    throw validationError(
      "The strategy Hyperband needs MaxResource in HyperbandStrategyConfig, or a static hyperparameter " +
        `named ${epochNames.join(", ")} whose value is a positive integer.`,
    );
  if (maxResource > maxResourceLimit)
    throw validationError(`MaxResource ${maxResource} is over the maximum of ${maxResourceLimit}.`);
  const minResource = given?.MinResource ?? 1;
  if (minResource > maxResource)
    throw validationError(
      `MinResource ${minResource} must not be greater than MaxResource ${maxResource}.`,
    );
  return { minResource, maxResource };
}
