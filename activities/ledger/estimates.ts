/** Records what a planned cycle is thought to come to, for the day when it can be compared. */
import type pg from "pg";
import { coresOf, estimateTraining } from "../../fleet/cost.js";
import { cycleSpending } from "./costs.js";
import type { Cycle } from "./cycles.js";

/** By the customers that the plan trains; what an earlier run of the cycle has spent comes on top. */
export async function recordEstimate(
  ledger: pg.Pool,
  { fleet, cycle, spec }: Cycle,
  o: { readonly customers: number; readonly fits: number; readonly region: string },
): Promise<void> {
  const { rows } = await ledger.query<Pace>(
    `select mean_job_seconds($1) as "secondsPerJob", p.seconds, p.slots, p.instance_type as type, p.fits
       from (select 1) one left join newest_packed_job($1) p on true`,
    [fleet],
  );
  const estimate = estimateTraining(spec, { ...o, ...paceOf(rows[0]) });
  const { spentUsd } = await cycleSpending(ledger, { fleet, cycle });
  await ledger.query("update cycles set estimate = $3 where fleet = $1 and cycle = $2", [
    fleet,
    cycle,
    JSON.stringify({
      ...estimate,
      usd: estimate.usd === null ? null : estimate.usd + spentUsd,
    }),
  ]);
}

interface Pace {
  readonly secondsPerJob: number | null;
  readonly seconds: number | null;
  readonly slots: number | null;
  readonly type: string | null;
  readonly fits: number | null;
}

function paceOf(pace: Pace | undefined): { secondsPerJob?: number; secondsPerFit?: number } {
  const { secondsPerJob = null, seconds = null, slots = null, fits = null } = pace ?? {};
  return {
    ...(secondsPerJob === null ? {} : { secondsPerJob: Math.max(1, secondsPerJob) }),
    ...(seconds === null || !fits
      ? {}
      : {
          secondsPerFit: Math.max(
            0.01,
            (seconds * (slots ?? 1) * coresOf(pace?.type ?? "")) / fits,
          ),
        }),
  };
}
