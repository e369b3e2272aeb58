/** Where a cycle stands, for the query, the web UI and the failure budget. */
import { setCurrentDetails } from "@temporalio/workflow";
import type { Cycle } from "./cycle-time.js";
import type { CycleReport, ShardTotals } from "./messages.js";

export type Phase =
  "exporting" | "preparing" | "planning" | "training" | "completed" | "failed" | "cancelled";

interface Plan {
  readonly customers: number;
  readonly skipped: number;
  readonly failed: number;
}

export interface CycleProgress {
  enter(phase: Phase): void;
  planned(plan: Plan): void;
  /** Totals only grow: a signal that comes late, after the shard's result, changes nothing. */
  shard(shard: number, totals: ShardTotals): void;
  read(): { phase: Phase; report: CycleReport };
  /** Why customers were not begun with, for want of budget; null while everybody is. */
  overBudget(): string | null;
}

export function trackProgress({ fleet, cycle, window }: Cycle): CycleProgress {
  let phase: Phase = "exporting";
  let plan: Plan = { customers: 0, skipped: 0, failed: 0 };
  const shards = new Map<number, ShardTotals>();
  const read = (): { phase: Phase; report: CycleReport } => {
    const report = { registered: 0, championKept: 0, skipped: plan.skipped, failed: plan.failed };
    for (const totals of shards.values()) {
      report.registered += totals.registered;
      report.championKept += totals.championKept;
      report.skipped += totals.overBudget?.customers ?? 0;
      report.failed += totals.failed;
    }
    return { phase, report: { fleet, cycle, customers: plan.customers, ...report } };
  };
  const show = (): void => {
    const { report } = read();
    setCurrentDetails(
      `**${phase}** · cycle ${cycle} · window ${window.floor} to ${window.ceiling}\n\n` +
        "| customers | registered | champion kept | skipped | failed |\n" +
        "| ---: | ---: | ---: | ---: | ---: |\n" +
        `| ${report.customers} | ${report.registered} | ${report.championKept} | ` +
        `${report.skipped} | ${report.failed} |`,
    );
  };
  return {
    read,
    overBudget: () => {
      const refused = [...shards.values()].flatMap(({ overBudget }) => overBudget ?? []);
      const [first] = refused;
      if (first === undefined) return null;
      const customers = refused.reduce((sum, one) => sum + one.customers, 0);
      return `${customers} of ${plan.customers} customers not begun with: ${first.because}`;
    },
    enter: (next) => {
      phase = next;
      show();
    },
    planned: (planned) => {
      plan = planned;
      show();
    },
    shard: (shard, totals) => {
      if (done(totals) < done(shards.get(shard))) return;
      shards.set(shard, totals);
      show();
    },
  };
}

const done = (totals: ShardTotals | undefined): number =>
  totals === undefined
    ? 0
    : totals.registered + totals.championKept + totals.failed + (totals.overBudget?.customers ?? 0);
