/** Which instances are kept, and which kept ones are in use: in memory, as an instance's state would be. */
import type { ResourceKey, Scope } from "./arns.js";
import type { InstanceCounts } from "./documents.js";

type JobKey = ResourceKey<"training-job">;

export interface Pool {
  readonly match: string;
  readonly instances: InstanceCounts;
  /** When the first job of the chain started, epoch seconds: no chain lives for ever. */
  readonly since: number;
}

/** Instances that no job uses. */
export interface KeptPool extends Pool {
  /** The job that kept them. */
  readonly key: JobKey;
  readonly endedAt: number;
  expiresAt: number;
  /** Ends the pool. */
  timer?: NodeJS.Timeout;
}

export type PoolBook = ReturnType<typeof createPoolBook>;

export function createPoolBook() {
  const kept = new Map<string, KeptPool>();
  /** By the job that uses them now. */
  const used = new Map<string, { readonly key: JobKey; readonly pool: Pool }>();

  const count = (pools: Iterable<{ key: JobKey; pool: Pool }>, scope: Scope, type: string) =>
    [...pools]
      .filter(({ key }) => key.account === scope.account && key.region === scope.region)
      .reduce((sum, { pool }) => sum + (pool.instances[type] ?? 0), 0);
  const keptOnes = () => [...kept.values()].map((pool) => ({ key: pool.key, pool }));

  return {
    all: (): readonly KeptPool[] => [...kept.values()],
    keptBy: (key: JobKey): KeptPool | undefined => kept.get(idOf(key)),
    keep: (pool: KeptPool): void => void kept.set(idOf(pool.key), pool),
    /** False when it was no longer there. */
    remove: (pool: KeptPool): boolean => kept.delete(idOf(pool.key)),

    /** The oldest pool that matches becomes this job's, from one moment to the next. */
    take(key: JobKey, match: string): KeptPool | undefined {
      if (used.has(idOf(key))) return undefined; // A second request for the same job.
      const pool = [...kept.values()].find((each) => each.match === match);
      if (pool === undefined) return undefined;
      kept.delete(idOf(pool.key));
      used.set(idOf(key), { key, pool });
      return pool;
    },

    /** The job has ended, or was never created: what it used, if it did. */
    release(key: JobKey): Pool | undefined {
      const pool = used.get(idOf(key))?.pool;
      used.delete(idOf(key));
      return pool;
    },

    keptInstances: (scope: Scope, type: string) => count(keptOnes(), scope, type),
    instances: (scope: Scope, type: string) =>
      count([...keptOnes(), ...used.values()], scope, type),
  };
}

const idOf = ({ account, region, name }: JobKey): string => `${account}/${region}/${name}`;
