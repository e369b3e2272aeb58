/** A fleet whose training jobs compute nothing, exported and planned, so that tests can look at the jobs. */
import { createCycleActivities } from "../../activities/cycles.js";
import { createDatasetActivities } from "../../activities/datasets.js";
import { aFleet, CYCLE, openCycle, type FleetOptions } from "./a-fleet.js";
import { run, type Parts } from "./parts.js";

export const METRICS: Readonly<Record<string, string>> = {
  "metric:validation:rmse": "10.5",
  "metric:test:rmse": "10",
  "metric:test:mae": "8",
  "metric:test:stdev_error": "9",
  "metric:baseline:rmse": "20",
  "metric:baseline:mae": "16",
  "metric:train:rows": "60",
  "metric:validation:rows": "30",
  "metric:test:rows": "10",
  "metric:verification:1": "1.5",
  "metric:verification:2": "2.5",
  "metric:verification:3": "3.5",
};

export interface NoopFleetOptions extends FleetOptions {
  readonly customers?: number;
  readonly hyperparameters?: Readonly<Record<string, string>>;
  readonly cycle?: string;
}

/** Customers are called `site-1`, `site-2` … and have 100 rows each. */
export const noopFleet = ({ customers = 1, hyperparameters = {}, ...options }: NoopFleetOptions) =>
  aFleet({
    ...options,
    source: {
      query:
        `select 'site-' || c as customer, n::float8 as target, n * c as x ` +
        `from generate_series(1, ${customers}) c, generate_series(1, 100) n where now() > :floor and :ceiling > :floor`,
      ...options.source,
    },
    training: {
      image: "111111111111.dkr.ecr.us-east-1.amazonaws.com/modelfleet-noop:1",
      hyperparameters: { ...METRICS, artifact: "true", ...hyperparameters },
      ...options.training,
    },
  });

/** Ready for startTrainingJob. */
export async function plannedCycle(parts: Parts, options: NoopFleetOptions) {
  const spec = noopFleet(options);
  const cycle = await openCycle(parts, spec, options.cycle ?? CYCLE);
  const datasets = createDatasetActivities({ ...parts, secret: async () => parts.warehouseUrl });
  await run(datasets.exportDataset, cycle);
  const cycles = createCycleActivities(parts);
  await run(cycles.planCycle, { ...cycle, shardSize: 250, force: false });
  return { ...cycle, spec };
}
