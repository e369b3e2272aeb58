/** Shows how the fleets stand as gauges: one query of the ledger every few seconds, whoever scrapes how often. */
import type { MetricMeter } from "@temporalio/common";
import type { Logger } from "@temporalio/worker";
import type pg from "pg";
import { messageOf } from "../activities/application-failure.js";
import { readStandings, type Standing, type Standings } from "../activities/ledger/standing.js";
import { gaugeBoard, type Reading } from "./metrics.js";

/** Prometheus scrapes every 15 to 60 s. */
const EVERY_SECONDS = 10;

export interface LedgerMetricsDependencies {
  readonly ledger: pg.Pool;
  readonly meter: MetricMeter;
  readonly logger: Logger;
}

/** Returns how to end it. A ledger that does not answer is shown as such, and told once. */
export function showLedger({ ledger, meter, logger }: LedgerMetricsDependencies): () => void {
  const show = gaugeBoard(meter);
  let last: readonly Reading[] = [];
  let up = true;
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    try {
      last = readingsOf(await readStandings(ledger));
      up = true;
    } catch (error) {
      if (up && !ended) logger.warn("metrics of the ledger not read", { error: messageOf(error) });
      up = false;
    }
    if (ended) return;
    show([...last, { gauge: "ledgerUp", labels: {}, value: up ? 1 : 0 }]);
    timer = setTimeout(() => void look(), EVERY_SECONDS * 1000).unref();
  };
  void look();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

export const readingsOf = ({ fleets, watcherSeconds }: Standings): Reading[] => [
  { gauge: "watcherAge", labels: {}, value: watcherSeconds },
  ...fleets.flatMap(fleetReadings),
];

/** Shown as none: a series that comes and goes cannot be alerted on. */
const NO_JOBS = { training: 0, tuning: 0, processing: 0, transform: 0 };
const QUANTILES = ["0.5", "0.95", "1"];

function fleetReadings(one: Standing): Reading[] {
  const { fleet } = one;
  const single = (gauge: Reading["gauge"], value: number): Reading => ({
    gauge,
    labels: { fleet },
    value,
  });
  const each = (gauge: Reading["gauge"], label: string, counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).map(([name, value]) => ({
      gauge,
      labels: { fleet, [label]: name },
      value,
    }));
  return [
    ...each("customers", "state", one.customers),
    ...each("jobs", "kind", { ...NO_JOBS, ...one.jobs }),
    ...each("cycle", "state", { [one.cycleState]: 1 }),
    ...QUANTILES.map((quantile, index) => ({
      gauge: "publishing" as const,
      labels: { fleet, quantile },
      value: one.publishSeconds?.[index] ?? 0,
    })),
    ...Object.entries(one.stages).flatMap(([stage, { approvalSeconds, publishingSeconds }]) => [
      { gauge: "stageApproval" as const, labels: { fleet, stage }, value: approvalSeconds },
      { gauge: "stagePublishing" as const, labels: { fleet, stage }, value: publishingSeconds },
    ]),
    single("cycleAge", one.runningSeconds),
    single("pendingApprovals", one.pending),
    single("pendingAge", one.pendingSeconds),
    single("unpublished", one.unpublishedSeconds),
    single("withdrawing", one.withdrawalSeconds),
    single("spent", one.spentUsd),
    single("budget", one.budgetUsd),
    single("overBudget", one.overBudget ? 1 : 0),
  ];
}
