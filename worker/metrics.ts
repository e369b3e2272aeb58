/**
 * The worker's metrics: Temporal's SDK exports its own to Prometheus, and ours through the same meter. One library and one
 * address to scrape, for what the SDK measures cannot be had elsewhere, and two would have to be found and guarded.
 */
import type { MetricMeter } from "@temporalio/common";
import type { RuntimeOptions } from "@temporalio/worker";

/** Seconds, as Prometheus wants them; buckets for calls that take from milliseconds to the budget's wait. */
const CALL_BUCKETS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** For Runtime.install. Without an address nothing is measured. What Temporal's core logs goes where all goes. */
export function telemetryOptions(
  address: string | null,
): NonNullable<RuntimeOptions["telemetryOptions"]> {
  const logging = { filter: { core: "WARN", other: "ERROR" }, forward: {} } as const;
  if (address === null) return { logging };
  return {
    logging,
    metrics: {
      prometheus: {
        bindAddress: address,
        countersTotalSuffix: true,
        unitSuffix: true,
        useSecondsForDurations: true,
        histogramBucketOverrides: { modelfleet_aws_call: CALL_BUCKETS },
      },
    },
  };
}

/** Our gauges by name, with what they tell; the labels are named beside each. */
export const GAUGES = {
  /** 1 while the ledger answers; the other gauges keep what they told last. */
  ledgerUp: ["modelfleet_ledger_up", "Whether the ledger answered last"],
  /** fleet, state */
  customers: ["modelfleet_customers", "Customers of each fleet's newest cycle by state"],
  /** fleet, state */
  cycle: ["modelfleet_cycle_state", "1 for the state of each fleet's newest cycle"],
  /** fleet */
  cycleAge: [
    "modelfleet_cycle_running_seconds",
    "How long the newest cycle has run; 0 when it ended",
  ],
  /** fleet, kind */
  jobs: ["modelfleet_jobs_running", "Jobs that were admitted and have not ended"],
  pendingApprovals: ["modelfleet_pending_approvals", "Versions that wait for a decision"],
  pendingAge: ["modelfleet_pending_approval_seconds", "How long the oldest of them has waited"],
  /** fleet, quantile */
  publishing: [
    "modelfleet_publish_seconds",
    "From approval until serving, of what began to serve in the last hour",
  ],
  unpublished: [
    "modelfleet_unpublished_seconds",
    "How long the oldest approved version that does not serve has waited",
  ],
  withdrawing: [
    "modelfleet_withdrawal_open_seconds",
    "How long the oldest denied version has gone on serving",
  ],
  /** fleet, stage */
  stageApproval: [
    "modelfleet_stage_approval_seconds",
    "How long the oldest version has waited for a stage's own approval",
  ],
  /** fleet, stage */
  stagePublishing: [
    "modelfleet_stage_publishing_seconds",
    "How long the oldest version has been on its way into a stage, lags and approvals not counted",
  ],
  spent: ["modelfleet_cycle_spent_usd", "What the newest cycle's ended jobs were billed"],
  budget: ["modelfleet_cycle_budget_usd", "The newest cycle's budget; 0 without one"],
  overBudget: ["modelfleet_cycle_over_budget", "1 when the newest cycle starts no further job"],
  /** kind */
  watcherAge: ["modelfleet_watcher_seconds", "Since jobs were looked at, while some are awaited"],
} as const satisfies Record<string, readonly [string, string]>;

export type GaugeName = keyof typeof GAUGES;

export interface Reading {
  readonly gauge: GaugeName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Sets gauges to what was read. A label that was there before and is not any more (a state that nobody is in, a fleet
 * that was destroyed) is set to 0: it would show its last value for ever.
 */
export function gaugeBoard(meter: MetricMeter): (readings: readonly Reading[]) => void {
  const gauges = new Map(
    Object.entries(GAUGES).map(([name, [metric, help]]) => [
      name,
      meter.createGauge(metric, "float", undefined, help),
    ]),
  );
  let shown = new Map<string, Reading>();
  return (readings) => {
    const next = new Map(readings.map((one) => [JSON.stringify([one.gauge, one.labels]), one]));
    for (const [key, { gauge, labels }] of shown)
      if (!next.has(key)) gauges.get(gauge)?.set(0, { ...labels });
    for (const { gauge, labels, value } of readings) gauges.get(gauge)?.set(value, { ...labels });
    shown = next;
  };
}
