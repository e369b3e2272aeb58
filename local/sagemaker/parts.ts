/** The parts of the server, each given what it needs. */
import { join } from "node:path";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { createAccounts } from "./accounts.js";
import type { ResourceKey } from "./arns.js";
import { createCallCounts } from "./call-counts.js";
import { createCloudWatchOperations } from "./cloudwatch-operations.js";
import type { ServerConfig } from "./config.schema.js";
import { createEndpointConfigOperations } from "./endpoint-configs.js";
import { deployEndpointFleet } from "./endpoint-fleet.js";
import { createEndpointLife } from "./endpoint-life.js";
import { createEndpointOperations } from "./endpoints.js";
import { createFaultInjector } from "./faults.js";
import type { Protocols } from "./http-server.js";
import { createJobFamilies } from "./job-families.js";
import { findLogs } from "./logs.js";
import { createMetricStore } from "./metric-store.js";
import { createModelPackageGroupOperations } from "./model-package-groups.js";
import { createModelPackageOperations } from "./model-packages.js";
import type { ServiceModels } from "./model.js";
import { createModelOperations } from "./models.js";
import { createObjects } from "./objects.js";
import { createLists } from "./paging.js";
import type { PythonHost } from "./python-host.js";
import { createPolicies } from "./policies.js";
import { createQuotas } from "./quotas.js";
import { createServingFleets } from "./serving-fleets.js";
import { createSlots } from "./slots.js";
import { createStore } from "./store.js";
import { createTagOperations } from "./tags.js";
import { createTrainingChecks } from "./training-checks.js";
import { createTrainingJobOperations } from "./training-jobs.js";
import { createTrainingRuns } from "./training-runs.js";
import { createTuningJobOperations } from "./tuning-jobs.js";
import { createTuningRuns } from "./tuning-runs.js";
import { createTuningSearch } from "./tuning-search.js";
import { createWarmPools } from "./warm-pools.js";

export interface Surroundings {
  readonly config: ServerConfig;
  readonly db: Pool;
  readonly models: ServiceModels;
  readonly python: () => Promise<PythonHost>;
  readonly log: Logger;
  /** Aborted when the server ends: from then on nobody writes how things went. */
  readonly closing: AbortSignal;
}

/** Jobs that download or upload beside each job whose script runs, so that no core waits for S3. */
const instancesPerCore = 2;

export type Parts = ReturnType<typeof createParts>;

export function createParts({ config, db, models, python, log, closing }: Surroundings) {
  const onUnexpected = (error: unknown, key: ResourceKey) =>
    log.error({ err: error, ...key }, "unexpected failure");
  const store = createStore(db);
  const policies = createPolicies(db, config.accounts);
  const accounts = createAccounts(db, { ...config, policies });
  const objects = createObjects(config);
  const faults = createFaultInjector(config.faults);
  const counts = createCallCounts(db);
  const metrics = createMetricStore(db);
  const lists = createLists(store, faults);
  const pools = createWarmPools({ store, quota: config.quotas.warmPoolInstances, onUnexpected });
  const quotas = createQuotas({ db, store, faults, pools, quotas: config.quotas });
  const instances = createSlots(config.cores * instancesPerCore);
  const cores = createSlots(config.cores);
  const runs = createTrainingRuns({
    ...{ store, pools, config, objects, faults, python, onUnexpected, instances, cores },
  });
  const jobs = createJobFamilies({
    ...{ config, store, lists, quotas, accounts, objects, faults, python, instances, cores },
    onUnexpected,
  });
  const logFolder = join(config.stateDir, "logs");
  const search = createTuningSearch({
    python: config.python,
    logFile: join(logFolder, "tuning-search.log"),
  });
  const tuningRuns = createTuningRuns({
    ...{ store, runs, search, onUnexpected },
    quotas: config.quotas,
  });
  const checks = createTrainingChecks(accounts, objects);
  const deploy = deployEndpointFleet;
  const fleets = createServingFleets({ config, store, objects, faults, metrics, python, deploy });
  const life = createEndpointLife({ store, faults, fleets, onUnexpected, closing });

  const operations = {
    ...createTrainingJobOperations({ store, lists, quotas, checks, runs, pools }),
    ...createTuningJobOperations({
      ...{ store, lists, quotas, checks },
      ...{ limits: config.quotas, runs: tuningRuns },
    }),
    ...jobs.operations,
    ...createModelOperations({ store, lists, accounts, objects }),
    ...createModelPackageGroupOperations(store, lists),
    ...createModelPackageOperations(db, store, lists),
    ...createEndpointConfigOperations(store, lists),
    ...createEndpointOperations({ store, lists, quotas, faults, life }),
    ...createTagOperations(store),
  };
  const protocols: Protocols = {
    controlPlane: { accounts, model: models.sagemaker, faults, counts, operations },
    runtime: { accounts, model: models.runtime, faults, counts, fleets },
    cloudWatch: {
      ...{ accounts, model: models.cloudWatch, faults, counts },
      operations: createCloudWatchOperations(metrics),
    },
    sts: { accounts, model: models.sts, counts, policies, faults },
    admin: {
      faults,
      counts,
      policies,
      findLogs: (kind, name) => findLogs(join(logFolder, kind), name),
    },
    log,
  };
  return {
    ...{ protocols, runs, pools, jobs, tuningRuns, search },
    ...{ life, fleets, objects, counts, metrics, policies },
  };
}
