/** Opens a cycle, plans which customers it trains, and closes it with its counts. */
import type pg from "pg";
import { assertBudgetPriced } from "../fleet/cost-budget.js";
import { FAILURES } from "../fleet/errors.js";
import { specHash } from "../fleet/names.js";
import { mostParallel } from "../fleet/search-size.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { assertOwnBucket, homeAccount } from "../fleet/stages.js";
import type { Window } from "../fleet/window.js";
import type { CycleReport } from "../workflows/messages.js";
import { permanent } from "./application-failure.js";
import { assertOneNumbering } from "./ledger/cohorts.js";
import type { CycleRef } from "./ledger/cycles.js";
import { countCustomers } from "./ledger/customers.js";
import { parseSpec } from "./ledger/specs.js";
import { withHeartbeat } from "./patience.js";
import { planCustomers, type CyclePlan } from "./plan-customers.js";
import { assertInstances, assertRoom } from "./tuning-room.js";

export type { CycleRef } from "./ledger/cycles.js";

export interface CycleDependencies {
  readonly ledger: pg.Pool;
  /** The AWS account that this worker's credentials belong to. */
  readonly account: string;
  /** The worker's own, in that account. */
  readonly bucket: string;
  /** Where its jobs run, and by whose prices they are billed. */
  readonly region: string;
  /** The account's quota of training jobs at a time, shared by all fleets and workers. */
  readonly maxTrainingJobs: number;
}

export interface OpenCycleInput {
  readonly spec: FleetSpec;
  readonly cycle: string;
  readonly window: Window;
  readonly workflowId: string;
  readonly force: boolean;
  /** One training job in place of each search. */
  readonly testing?: boolean;
  /** What has called for it beside its schedule or a person: it trains those customers only. */
  readonly cause?: "drift";
}

export interface PlanCycleInput extends CycleRef {
  readonly shardSize: number;
  readonly force: boolean;
}

export interface ReadShardInput extends CycleRef {
  readonly shard: number;
}

export interface SetCycleStateInput extends CycleRef {
  readonly state: "preparing" | "planning" | "training";
}

export interface CloseCycleInput extends CycleRef {
  readonly state: "completed" | "failed" | "cancelled";
  readonly reason?: string;
}

export const createCycleActivities = ({
  ledger,
  account,
  bucket,
  region,
  maxTrainingJobs,
}: CycleDependencies) => ({
  /**
   * Records the spec and the cycle. A cycle that exists is opened again: same id, its data exported anew. Throws
   * AccountMismatch, or SpecInvalid for a stage elsewhere that names the worker's bucket, for jobs that the quota has no
   * room for, for a budget over instances whose price is not known, and for training that numbers its versions
   * otherwise than the fleet has, before anything is recorded; CycleCollected for a cycle whose artifacts retention has taken.
   */
  async openCycle(input: OpenCycleInput): Promise<{ specHash: string }> {
    const spec = parseSpec(input.spec, input.spec.name);
    if (homeAccount(spec) !== account) throw accountMismatch(spec, account);
    for (const stage of spec.stages) assertOwnBucket(stage, { account, bucket });
    const { testing = false, cause = null } = input;
    if (spec.training.kind === "sharded") assertInstances(spec.training.instances, maxTrainingJobs);
    else if (spec.tuning !== undefined)
      assertRoom(mostParallel(spec.tuning, { testing }), maxTrainingJobs);
    assertBudgetPriced(spec, region);
    await assertOneNumbering(ledger, spec.name, spec.training.kind);
    const hash = specHash(spec);
    await recordOpened(ledger, { ...input, spec, testing, cause, hash });
    return { specHash: hash };
  },

  /**
   * Decides for every exported customer whether it is trained, and puts those that are into shards. Heartbeats. Throws
   * SpecInvalid when a sharded job would have more instances than customers to train.
   */
  planCycle: (input: PlanCycleInput): Promise<CyclePlan> =>
    withHeartbeat(() => planCustomers(ledger, { ...input, region })),

  /** The customers of one shard that are not done, at most `shardSize`, in order of their keys. */
  async readShard({ fleet, cycle, shard }: ReadShardInput): Promise<{ customerKeys: string[] }> {
    const { rows } = await ledger.query<{ customer_key: string }>(
      `select customer_key from customers
        where fleet = $1 and cycle = $2 and shard = $3
          and state in ('planned', 'training', 'trained', 'evaluated')
        order by customer_key`,
      [fleet, cycle, shard],
    );
    return { customerKeys: rows.map((row) => row.customer_key) };
  },

  async setCycleState({ fleet, cycle, state }: SetCycleStateInput): Promise<void> {
    await ledger.query("update cycles set state = $3 where fleet = $1 and cycle = $2", [
      fleet,
      cycle,
      state,
    ]);
  },

  /** One that was not opened, as that was refused, stays as its earlier run has left it. */
  async closeCycle({ fleet, cycle, state, reason }: CloseCycleInput): Promise<CycleReport> {
    await ledger.query(
      `update cycles set state = $3, reason = $4, ended_at = now()
        where fleet = $1 and cycle = $2 and ended_at is null`,
      [fleet, cycle, state, reason ?? null],
    );
    return { fleet, cycle, ...(await countCustomers(ledger, { fleet, cycle })) };
  },
});
export type CycleActivities = ReturnType<typeof createCycleActivities>;

async function recordOpened(
  ledger: pg.Pool,
  o: Omit<OpenCycleInput, "cause"> & {
    readonly testing: boolean;
    readonly cause: "drift" | null;
    readonly hash: string;
  },
): Promise<void> {
  const { rowCount } = await ledger.query(
    `with spec as (
       insert into fleet_specs (fleet, spec_hash, spec) values ($1, $2, $3) on conflict do nothing),
     told as (delete from notifications where fleet = $1 and cycle = $4 and kind = 'budget')
     insert into cycles (fleet, cycle, spec_hash, window_floor, window_ceiling, workflow_id, forced,
                         testing, cause, state)
     values ($1, $4, $2, $5, $6, $7, $8, $9, $10, 'exporting')
     on conflict (fleet, cycle) do update
       set spec_hash = excluded.spec_hash, window_floor = excluded.window_floor,
           window_ceiling = excluded.window_ceiling, workflow_id = excluded.workflow_id,
           forced = excluded.forced, testing = excluded.testing, cause = excluded.cause, state = excluded.state,
           rows = null, prepared = null, transformed = null, generation = null, reason = null,
           over_budget = null, ended_at = null
       where cycles.collected_at is null`,
    [
      o.spec.name,
      o.hash,
      JSON.stringify(o.spec),
      o.cycle,
      o.window.floor,
      o.window.ceiling,
      o.workflowId,
      o.force,
      o.testing,
      o.cause,
    ],
  );
  if (rowCount === 0) throw collected(o.spec.name, o.cycle);
}

/** Its jobs would be found by their names, completed, and what they made is gone. */
const collected = (fleet: string, cycle: string) =>
  permanent(FAILURES.cycleCollected, {
    message: `cycle ${cycle} of fleet "${fleet}" is not run again: modelfleet gc has collected what its jobs made`,
    hint: "run a cycle for another time, such as now: leave --at out",
  });

function accountMismatch(spec: FleetSpec, account: string) {
  const [stage] = spec.stages;
  const [what, where] =
    spec.account === undefined
      ? [`stage "${stage.name}" is in account ${stage.account}`, "stages[0].account"]
      : [`the fleet's home account is ${spec.account}`, "account"];
  return permanent(FAILURES.accountMismatch, {
    message: `${what}, the worker's credentials are of ${account}`,
    hint: `correct ${where} in the fleet file, or give the worker credentials of that account`,
  });
}
