/** Builds the CreateHyperParameterTuningJob request of one customer in one cycle, from what the ledger holds. */
import type {
  CreateHyperParameterTuningJobRequest,
  HyperParameterTuningJobConfig,
  ParameterRanges as RequestRanges,
} from "@aws-sdk/client-sagemaker";
import { tuningJobName } from "../fleet/names.js";
import type { NumberRange, ParameterRanges } from "../fleet/ranges.js";
import { parallelOf } from "../fleet/search-size.js";
import type { TuningSpec } from "../fleet/tuning.schema.js";
import type { WantedSearch, WarmStart } from "../fleet/warm-start.js";
import {
  fixedHyperparameters,
  hashOfWork,
  tagsOf,
  trainingDefinition,
  type TrainingJobPlan,
} from "./training-job-request.js";

export interface TuningJobPlan extends TrainingJobPlan {
  readonly account: string;
  readonly tuning: TuningSpec;
  /** Training jobs of this search: fewer than the spec's when it is small, or a test. */
  readonly maxJobs: number;
}

export type TuningJobRequest = CreateHyperParameterTuningJobRequest & {
  readonly HyperParameterTuningJobName: string;
};

/** With its name and tags, in which the hash of everything else stands. */
export function tuningJobRequest(plan: TuningJobPlan, warmStart: WarmStart): TuningJobRequest {
  const { spec, cycle, customerKey, round } = plan;
  const request = { ...searchRequest(plan), ...warmStartConfig(warmStart) };
  const hash = hashOfWork(request, plan);
  const key = { fleet: spec.name, customerKey, cycle, round, requestHash: hash };
  return { HyperParameterTuningJobName: tuningJobName(key), ...request, Tags: tagsOf(plan, hash) };
}

/** Tells a search from another, wherever it starts from: for one and the same, parents are chosen once. */
export const workHash = (plan: TuningJobPlan): string => hashOfWork(searchRequest(plan), plan);

/** What the search looks like to others that may start from it, or it from them. */
export const wantedSearch = (plan: TuningJobPlan): WantedSearch => ({
  fleet: plan.spec.name,
  customerKey: plan.customerKey,
  account: plan.account,
  region: plan.region,
  objective: { metric: plan.tuning.objective, direction: plan.tuning.direction },
  ranges: plan.tuning.ranges,
  staticHyperparameters: fixedHyperparameters(plan),
  dataHash: plan.dataHash,
  codeHash: plan.spec.training.sourceHash,
  image: trainingDefinition(plan).AlgorithmSpecification.TrainingImage,
  maxJobs: plan.maxJobs,
  strategy: strategyOf(plan),
  warmStart: plan.tuning.warmStart,
});

/** Training jobs at a time. */
export const parallelJobs = ({ tuning, maxJobs }: TuningJobPlan): number =>
  parallelOf(tuning, maxJobs);

/** A grid has one size, so a smaller search of the same values is a random one. */
export const strategyOf = ({ tuning, maxJobs }: TuningJobPlan): TuningSpec["strategy"] =>
  tuning.strategy === "Grid" && maxJobs < tuning.maxJobs ? "Random" : tuning.strategy;

function searchRequest(plan: TuningJobPlan) {
  return {
    HyperParameterTuningJobConfig: searchConfig(plan),
    TrainingJobDefinition: {
      ...trainingDefinition(plan),
      StaticHyperParameters: fixedHyperparameters(plan),
    },
  };
}

function searchConfig(plan: TuningJobPlan): HyperParameterTuningJobConfig {
  const { tuning, maxJobs } = plan;
  const Strategy = strategyOf(plan);
  const { hyperband, seed } = tuning;
  return {
    Strategy,
    ...(hyperband === undefined
      ? {}
      : {
          StrategyConfig: {
            HyperbandStrategyConfig: {
              MinResource: hyperband.minResource,
              MaxResource: hyperband.maxResource,
            },
          },
        }),
    HyperParameterTuningJobObjective: {
      Type: tuning.direction === "minimize" ? "Minimize" : "Maximize",
      MetricName: tuning.objective,
    },
    ResourceLimits: {
      // Of a grid, SageMaker counts the combinations itself.
      ...(Strategy === "Grid" ? {} : { MaxNumberOfTrainingJobs: maxJobs }),
      MaxParallelTrainingJobs: parallelJobs(plan),
    },
    ParameterRanges: requestRanges(tuning.ranges),
    TrainingJobEarlyStoppingType: tuning.earlyStopping ? "Auto" : "Off",
    ...(seed === undefined ? {} : { RandomSeed: seed }),
  };
}

function requestRanges(ranges: ParameterRanges): RequestRanges {
  const named = Object.entries(ranges);
  return {
    IntegerParameterRanges: named.flatMap(([name, range]) =>
      range.type === "integer" ? [requestRange(name, range)] : [],
    ),
    ContinuousParameterRanges: named.flatMap(([name, range]) =>
      range.type === "continuous" ? [requestRange(name, range)] : [],
    ),
    CategoricalParameterRanges: named.flatMap(([name, range]) =>
      range.type === "categorical" ? [{ Name: name, Values: [...range.values] }] : [],
    ),
  };
}

const requestRange = (name: string, { min, max, scaling }: NumberRange) => ({
  Name: name,
  MinValue: String(min),
  MaxValue: String(max),
  ScalingType: scaling,
});

const warmStartConfig = ({ parents, type }: WarmStart) =>
  type === null
    ? {}
    : {
        WarmStartConfig: {
          ParentHyperParameterTuningJobs: parents.map((name) => ({
            HyperParameterTuningJobName: name,
          })),
          WarmStartType: type,
        },
      };
