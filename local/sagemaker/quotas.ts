/** The account's quotas of instances, serverless endpoints and tuning jobs, which AWS checks at the call that asks for them. */
import type { Pool } from "pg";
import type { Kind, ResourceKey } from "./arns.js";
import type { AccountQuotas } from "./config.schema.js";
import type { InstanceCounts } from "./documents.js";
import { AwsError } from "./errors.js";
import type { FaultInjector } from "./faults.js";
import { inTransaction } from "./store.js";
import type { Store } from "./store.js";
import type { WarmPools } from "./warm-pools.js";

export type Quotas = ReturnType<typeof createQuotas>;

/** What AWS calls a quota of instances, and what holds some of them in which statuses. */
interface Usage {
  readonly name: string;
  readonly kinds: readonly Kind[];
  readonly statuses: readonly string[];
}

/** Counted as if they were types of instances. */
export const serverlessEndpoints = "serverless-endpoints";
export const serverlessConcurrency = "serverless-concurrency";

export const isServerlessQuota = (type: string): boolean =>
  type === serverlessEndpoints || type === serverlessConcurrency;

/** AWS's texts are not public; these say in their form what is meant. */
const serverlessTexts: Readonly<Record<string, { name: string; unit: string }>> = {
  [serverlessEndpoints]: { name: "Maximum number of serverless endpoints", unit: "Endpoints" },
  [serverlessConcurrency]: {
    name: "Maximum total concurrency that can be allocated across all serverless endpoints",
    unit: "Concurrent Invocations",
  },
};

const underWay = ["InProgress", "Stopping"];

/** A tuning job holds the instances of its training jobs, as many as may run at a time, until it ends. */
const trainingUsage: Usage = {
  name: "training job",
  kinds: ["training-job", "hyper-parameter-tuning-job"],
  statuses: underWay,
};

const usages: Partial<Record<Kind, Usage>> = {
  "training-job": trainingUsage,
  "hyper-parameter-tuning-job": trainingUsage,
  "processing-job": { name: "processing job", kinds: ["processing-job"], statuses: underWay },
  "transform-job": { name: "transform job", kinds: ["transform-job"], statuses: underWay },
  endpoint: {
    name: "endpoint",
    kinds: ["endpoint"],
    statuses: ["Creating", "InService", "Updating", "RollingBack", "Deleting"],
  },
};

export interface QuotaParts {
  readonly db: Pool;
  readonly store: Store;
  readonly faults: FaultInjector;
  readonly pools: Pick<WarmPools, "held">;
  readonly quotas: AccountQuotas;
}

export function createQuotas({ db, store, faults, quotas, pools }: QuotaParts) {
  return {
    /** Takes the step if the instances are to be had; nobody else takes them in between. */
    async within<T>(
      key: ResourceKey,
      instances: InstanceCounts,
      step: (store: Store) => Promise<T>,
    ): Promise<T> {
      const limits: Readonly<Record<string, number>> = {
        [serverlessEndpoints]: quotas.serverlessEndpoints,
        [serverlessConcurrency]: quotas.serverlessConcurrency,
        ...faults.current().resourceLimit,
      };
      const limited = Object.entries(instances).filter(([type]) => limits[type] !== undefined);
      const isTuning = key.kind === "hyper-parameter-tuning-job";
      if (limited.length === 0 && !isTuning) return step(store);
      return inTransaction(db, async (transaction) => {
        if (isTuning) await checkTuningJobs(transaction, key, quotas.tuningJobs);
        for (const [instanceType, requested] of limited)
          await checkInstances(transaction, key, {
            instanceType,
            requested,
            limit: limits[instanceType] ?? 0,
            kept: pools.held(key, instanceType),
          });
        return step(transaction);
      });
    },
  };
}

async function checkTuningJobs(store: Store, key: ResourceKey, limit: number): Promise<void> {
  await store.countAlone(`${key.account}/${key.region}/${key.kind}`);
  const inUse = await store.countInStatus(key, underWay);
  if (inUse < limit) return;
  const name = "Number of concurrent hyperparameter tuning jobs";
  throw limitExceeded({ name, unit: "Tuning Jobs", limit, inUse, requested: 1 });
}

async function checkInstances(
  store: Store,
  key: ResourceKey,
  wanted: { instanceType: string; requested: number; limit: number; kept: number },
): Promise<void> {
  const { instanceType, requested, limit } = wanted;
  const usage = usages[key.kind];
  if (usage === undefined) return;
  const { kinds, statuses } = usage;
  await store.countAlone(`${key.account}/${key.region}/${usage.name}/${instanceType}`);
  const busy = await store.instancesInUse(key, { instanceType, kinds, statuses });
  // Instances that wait in a warm pool are training instances too.
  const inUse = busy + (usage === trainingUsage ? wanted.kept : 0);
  if (inUse + requested <= limit) return;
  const text = serverlessTexts[instanceType] ?? {
    name: `${instanceType} for ${usage.name} usage`,
    unit: "Instances",
  };
  throw limitExceeded({ ...text, limit, inUse, requested });
}

export interface ExceededLimit {
  readonly name: string;
  readonly unit: string;
  readonly limit: number;
  readonly inUse: number;
  readonly requested: number;
}

export function limitExceeded({ name, unit, limit, inUse, requested }: ExceededLimit): AwsError {
  return new AwsError(
    "ResourceLimitExceeded",
    `The account-level service limit '${name}' is ${limit} ${unit}, ` +
      `with current utilization of ${inUse} ${unit} and a request delta of ${requested} ${unit}. ` +
      "Please use AWS Service Quotas to request an increase for this quota.",
  );
}
