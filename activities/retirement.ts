/** Takes customers out of service that have left the warehouse. */
import { heartbeat, log } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import type pg from "pg";
import { isRetired, refusalOfRetirement, type Retention } from "../fleet/retention.js";
import type { Pace } from "../workflows/messages.js";
import { inParallel } from "./in-parallel.js";
import {
  absentPages,
  readAttendance,
  recordRetirement,
  type ServedAbsentee,
} from "./ledger/retirement.js";
import { startWithdrawal } from "./start-withdrawal.js";

export interface RetirementDependencies {
  readonly ledger: pg.Pool;
  readonly temporal: Client;
}

/** The fleet's policy, and the time that its spans are counted to. */
export interface RetirementScope {
  readonly fleet: string;
  readonly policy: Retention["retire"];
  readonly now: Date;
}

export interface Leaving {
  readonly count: number;
  /** The first of them, as the warehouse calls them. */
  readonly names: readonly string[];
}

export interface RetirementReport {
  readonly retiring: Leaving;
  /** Why nobody is, although customers are missing. */
  readonly retirementRefused: string | null;
}

const NOBODY: Leaving = { count: 0, names: [] };
const NAMES_TOLD = 100;
/** Each starts a workflow for every version that serves the customer. */
const AT_A_TIME = 8;

/** Who would be retired. Changes nothing. */
export const findLeaving = (
  dependencies: RetirementDependencies,
  scope: RetirementScope,
): Promise<RetirementReport> => forLeaving(dependencies.ledger, scope, async () => undefined);

/**
 * Has every version that serves somebody who has left withdrawn, as a denial would be but that nothing takes its place.
 * Done again, it finds the withdrawals that run, and otherwise those that still serve.
 */
export const retire = (
  dependencies: RetirementDependencies,
  scope: RetirementScope,
  { by, pace }: { readonly by: string; readonly pace: Pace },
): Promise<RetirementReport> =>
  forLeaving(dependencies.ledger, scope, async (absentee) => {
    await recordRetirement(dependencies.ledger, scope.fleet, absentee, by);
    for (const version of new Set(absentee.serving.map((one) => one.version))) {
      const stage = absentee.serving.find((one) => one.version === version)?.stage ?? "";
      const since = new Date(absentee.absentSince).toISOString().slice(0, 10);
      const leaving = { fleet: scope.fleet, customerKey: absentee.customerKey, version };
      const decision = {
        verdict: "deny",
        by,
        note: `no rows in any export since ${since}`,
      } as const;
      await startWithdrawal(
        dependencies.temporal,
        { ...leaving, stage, decision, retire: true, pace },
        `Retire ${leaving.customerKey} of ${scope.fleet}: version ${version} leaves`,
      );
    }
    log.info("customer retired", { fleet: scope.fleet, customer: absentee.customerKey });
  });

async function forLeaving(
  ledger: pg.Pool,
  { fleet, policy, now }: RetirementScope,
  each: (absentee: ServedAbsentee) => Promise<void>,
): Promise<RetirementReport> {
  const attendance = policy === null ? null : await readAttendance(ledger, fleet);
  if (policy === null || attendance === null) return { retiring: NOBODY, retirementRefused: null };
  const retirementRefused = refusalOfRetirement(attendance, policy);
  if (retirementRefused !== null) return { retiring: NOBODY, retirementRefused };
  let count = 0;
  const names: string[] = [];
  for await (const page of absentPages(ledger, fleet)) {
    const due = page.filter((absentee) => isRetired(absentee, policy, now.getTime()));
    await inParallel(AT_A_TIME, due, each);
    count += due.length;
    names.push(...due.slice(0, NAMES_TOLD - names.length).map(({ customer }) => customer));
    heartbeat(page.at(-1)?.customerKey);
  }
  return { retiring: { count, names }, retirementRefused: null };
}
