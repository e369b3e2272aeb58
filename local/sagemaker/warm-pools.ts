/** Warm pools: the instances of a job that has ended, kept for the next job like it, and what jobs say of them. */
import type { ResourceKey, Scope } from "./arns.js";
import { persistently } from "./persistently.js";
import type { Store } from "./store.js";
import { instancesOf } from "./training-document.js";
import { longTimer, wholeSeconds } from "./training-status.js";
import type { TrainingJob } from "./training-status.js";
import { createPoolBook } from "./warm-pool-book.js";
import type { KeptPool, Pool, PoolBook } from "./warm-pool-book.js";
import { keptSeconds, matchKey, mayUsePool } from "./warm-pool-match.js";

type JobKey = ResourceKey<"training-job">;
type WarmPoolStatus = NonNullable<TrainingJob["WarmPoolStatus"]>;

/** AWS, live guide: the same instances are used for 28 days at most. */
const longestChainSeconds = 28 * 24 * 60 * 60;

export interface WarmPools {
  /** The pool of an earlier job that this one may use, taken at once: nobody else gets it. */
  take(key: JobKey, job: TrainingJob): TakenPool | undefined;
  /** What a job that ends now says of its pool; `open` once that is said. Undefined: it has none. */
  after(key: JobKey, ended: TrainingJob): EndedUse | undefined;
  /** Instances of a type that no job uses, and that nobody else can have. */
  held(scope: Scope, instanceType: string): number;
  /** Lets a pool end so many seconds after its job; false when that job has none that is available. */
  keepFor(key: JobKey, seconds: number): Promise<boolean>;
  /** After a start of the server: the instances are gone. */
  resume(): Promise<void>;
  close(): void;
}

export interface TakenPool {
  /** The job is created; the one before says who has its instances. */
  handOver(): Promise<void>;
  /** The job was not created. */
  giveBack(): void;
}

export interface EndedUse {
  readonly status: WarmPoolStatus;
  open(): void;
}

export interface WarmPoolParts {
  readonly store: Store;
  /** Instances of each type that pools may hold, in an account and region. */
  readonly quota: number;
  readonly onUnexpected: (error: unknown, key: ResourceKey) => void;
}

export function createWarmPools({ store, quota, onUnexpected }: WarmPoolParts): WarmPools {
  const book = createPoolBook();
  let isClosed = false;
  const terminate = async (pool: KeptPool): Promise<void> => {
    clearTimeout(pool.timer);
    if (!book.remove(pool)) return;
    await tell(store, pool.key, retained("Terminated", pool.endedAt, now()));
  };
  const startTimer = (pool: KeptPool): void => {
    clearTimeout(pool.timer);
    if (isClosed) return;
    pool.timer = longTimer(pool.expiresAt - now(), () => {
      terminate(pool).catch((error: unknown) => onUnexpected(error, pool.key));
    });
  };
  const keep = (pool: KeptPool): void => {
    book.keep(pool);
    startTimer(pool);
  };

  return {
    take(key, job) {
      const pool = mayUsePool(job) ? book.take(key, matchKey(key, job)) : undefined;
      if (pool === undefined) return undefined;
      clearTimeout(pool.timer);
      const reused = { ...retained("Reused", pool.endedAt, now()), ReusedByJob: key.name };
      return {
        handOver: () => tell(store, pool.key, reused),
        giveBack() {
          book.release(key);
          keep(pool);
        },
      };
    },

    after(key, ended) {
      const used = book.release(key);
      const pool = poolOf(key, ended, used);
      if (pool !== undefined && isWithin(quota, book, pool))
        return { status: { Status: "Available" }, open: () => keep(pool) };
      // The instances end with the job that used them last.
      return used && { status: { Status: "Terminated" }, open: () => undefined };
    },

    held: (scope, type) => book.keptInstances(scope, type),

    async keepFor(key, seconds) {
      const pool = book.keptBy(key);
      if (pool === undefined) return false;
      pool.expiresAt = pool.endedAt + seconds;
      if (pool.expiresAt <= now()) await terminate(pool);
      else startTimer(pool);
      return true;
    },

    resume: () => terminateAll(store),

    close() {
      isClosed = true;
      for (const { timer } of book.all()) clearTimeout(timer);
    },
  };
}

/** The pool that a job leaves; undefined for one that asked for none, or may not have one. */
function poolOf(key: JobKey, ended: TrainingJob, used: Pool | undefined): KeptPool | undefined {
  const { TrainingEndTime: endedAt = now(), TrainingStartTime = endedAt } = ended;
  const seconds = keptSeconds(ended);
  const since = used?.since ?? TrainingStartTime;
  if (seconds === 0 || endedAt - since >= longestChainSeconds) return undefined;
  const [match, instances] = [matchKey(key, ended), instancesOf(ended)];
  return { key, match, instances, since, endedAt, expiresAt: endedAt + seconds };
}

/** AWS: a job whose pool would be over the quota runs as any other, and its instances are not kept. */
function isWithin(quota: number, book: PoolBook, { key, instances }: KeptPool): boolean {
  return Object.entries(instances).every(
    ([type, count]) => book.instances(key, type) + count <= quota,
  );
}

/** A pool does not outlive the server: it ended with it, or when its time was over. */
async function terminateAll(store: Store): Promise<void> {
  for (const { key, document } of await store.withWarmPool()) {
    const { KeepAlivePeriodInSeconds = 0 } = document.ResourceConfig ?? {};
    const endedAt = document.TrainingEndTime;
    const status: WarmPoolStatus =
      endedAt === undefined
        ? { Status: "Terminated" }
        : retained("Terminated", endedAt, Math.min(endedAt + KeepAlivePeriodInSeconds, now()));
    await tell(store, key, status);
  }
}

async function tell(store: Store, key: JobKey, status: WarmPoolStatus): Promise<void> {
  const modifiedAt = now();
  const document = { WarmPoolStatus: status, LastModifiedTime: modifiedAt };
  await persistently(() => store.update(key, { document, modifiedAt }));
}

function retained(status: "Reused" | "Terminated", from: number, to: number): WarmPoolStatus {
  return { Status: status, ResourceRetainedBillableTimeInSeconds: wholeSeconds(from, to) };
}

const now = () => Date.now() / 1000;
