/** The account's quotas of instances, which AWS checks at the call that asks for them. */
import type { Pool } from "pg";
import type { Kind, ResourceKey } from "./arns.js";
import type { InstanceCounts } from "./documents.js";
import { AwsError } from "./errors.js";
import type { FaultInjector } from "./faults.js";
import { inTransaction } from "./store.js";
import type { Store } from "./store.js";

export type Quotas = ReturnType<typeof createQuotas>;

/** What AWS calls the quota of each kind, and the statuses in which instances are held. */
const usages: Partial<Record<Kind, { name: string; statuses: readonly string[] }>> = {
  "training-job": { name: "training job", statuses: ["InProgress", "Stopping"] },
  endpoint: {
    name: "endpoint",
    statuses: ["Creating", "InService", "Updating", "RollingBack", "Deleting"],
  },
};

export function createQuotas(db: Pool, store: Store, faults: FaultInjector) {
  return {
    /** Takes the step if the instances are to be had; nobody else takes them in between. */
    async within<T>(
      key: ResourceKey,
      instances: InstanceCounts,
      step: (store: Store) => Promise<T>,
    ): Promise<T> {
      const limits = faults.current().resourceLimit ?? {};
      const limited = Object.entries(instances).filter(([type]) => limits[type] !== undefined);
      if (limited.length === 0) return step(store);
      return inTransaction(db, async (transaction) => {
        for (const [instanceType, requested] of limited)
          await check(transaction, key, {
            instanceType,
            requested,
            limit: limits[instanceType] ?? 0,
          });
        return step(transaction);
      });
    },
  };
}

async function check(
  store: Store,
  key: ResourceKey,
  wanted: { instanceType: string; requested: number; limit: number },
): Promise<void> {
  const { instanceType, requested, limit } = wanted;
  const usage = usages[key.kind];
  if (usage === undefined) return;
  await store.countAlone(`${key.account}/${key.region}/${key.kind}/${instanceType}`);
  const { statuses } = usage;
  const inUse = await store.instancesInUse(key, { instanceType, statuses });
  if (inUse + requested <= limit) return;
  throw new AwsError(
    "ResourceLimitExceeded",
    `The account-level service limit '${instanceType} for ${usage.name} usage' is ${limit} Instances, ` +
      `with current utilization of ${inUse} Instances and a request delta of ${requested} Instances. ` +
      "Please use AWS Service Quotas to request an increase for this quota.",
  );
}
