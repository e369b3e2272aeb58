/** The models of a fleet that wait for a decision, with the figures by which many are chosen at once. */
import { outlierJudge, type Judged } from "../fleet/outliers.js";
import { parseWhere, WhereError, type Figure, type FigureKind } from "../fleet/where.js";
import type { Connections } from "./connections.js";
import { ClientError, UsageError } from "./errors.js";
import { askLedger } from "./ledger.js";
import { readModels, type Figures, type Model } from "./models.js";
import { nearest } from "./nearest.js";

export interface Candidate extends Model {
  /** By name, as a condition calls them. */
  readonly figures: Readonly<Record<string, Figure>>;
  readonly judged: Judged;
  /** Share of the champion's error that it removes; for a first model, of the baseline's. */
  readonly gain: number | null;
}

export interface Candidates {
  readonly all: readonly Candidate[];
  /** Every model judged in the cycles of those that wait: what deviates, deviates from these. */
  readonly cohort: readonly Judged[];
}

interface CycleRow {
  cycle: string;
  metric: string;
}

interface EvaluationRow {
  cycle: string;
  customer_key: string;
  metrics: Figures;
  champion_metrics: Figures | null;
  baseline_metrics: Figures;
  train_rows: string;
  validation_rows: string;
  test_rows: string;
}

/** Throws ClientError when a cohort waits: its members are not decided by themselves. */
export async function readCandidates(connections: Connections, fleet: string): Promise<Candidates> {
  const models = await readModels(connections, { fleet, states: ["pending"], allVersions: true });
  const member = models.find(({ cohort }) => cohort !== null);
  if (member?.cohort)
    throw new ClientError(
      `the ${member.cohort.members} models of version ${member.cohort.version} of fleet "${fleet}" are a cohort, ` +
        "which is decided at once",
      `modelfleet approve ${fleet} --cohort ${member.cycle}; --except leaves customers out`,
    );
  const cycles = [...new Set(models.map((model) => model.cycle))];
  const metrics = await askLedger<CycleRow>(
    connections,
    `select y.cycle, coalesce(f.spec #>> '{gate,metric}', 'rmse') as metric
       from cycles y join fleet_specs f using (fleet, spec_hash) where y.fleet = $1 and y.cycle = any($2)`,
    [fleet, cycles],
  );
  const evaluations = await askLedger<EvaluationRow>(
    connections,
    `select cycle, customer_key, e.metrics, e.champion_metrics, e.baseline_metrics,
            u.train_rows, u.validation_rows, u.test_rows
       from evaluations e join customers u using (fleet, cycle, customer_key)
      where fleet = $1 and cycle = any($2)`,
    [fleet, cycles],
  );
  const metricOf = new Map(metrics.map(({ cycle, metric }) => [cycle, metric]));
  const rowOf = new Map(evaluations.map((row) => [`${row.cycle} ${row.customer_key}`, row]));
  return {
    all: models.map((model) =>
      candidateOf(
        model,
        metricOf.get(model.cycle) ?? "rmse",
        rowOf.get(`${model.cycle} ${model.customerKey}`),
      ),
    ),
    cohort: evaluations.map((row) =>
      judgedBy(metricOf.get(row.cycle) ?? "rmse", {
        metrics: row.metrics,
        championMetrics: row.champion_metrics,
        baselineMetrics: row.baseline_metrics,
      }),
    ),
  };
}

type Scores = Pick<Model, "metrics" | "championMetrics" | "baselineMetrics">;

const judgedBy = (
  metric: string,
  { metrics, championMetrics, baselineMetrics }: Scores,
): Judged => ({
  metric,
  error: metrics?.[metric] ?? null,
  championError: championMetrics?.[metric] ?? null,
  baselineError: baselineMetrics?.[metric] ?? null,
});

function candidateOf(model: Model, metric: string, row: EvaluationRow | undefined): Candidate {
  const judged = judgedBy(metric, model);
  const overChampion = gain(judged.error, judged.championError);
  const overBaseline = gain(judged.error, judged.baselineError);
  const rows = [row?.train_rows, row?.validation_rows, row?.test_rows].map((count) =>
    count === undefined ? null : Number(count),
  );
  const [trainRows = null, validationRows = null, testRows = null] = rows;
  return {
    ...model,
    judged,
    gain: overChampion ?? overBaseline,
    figures: {
      improvement: overChampion,
      improvement_over_baseline: overBaseline,
      ...named("", model.metrics),
      ...named("champion_", model.championMetrics),
      ...named("baseline_", model.baselineMetrics),
      train_rows: trainRows,
      validation_rows: validationRows,
      test_rows: testRows,
      version: model.version,
      champion_version: model.championVersion,
      customer: model.customer,
      cycle: model.cycle,
    },
  };
}

/** As the gate counts it: 0.02 is an error 2 % below the other's. */
function gain(error: number | null, reference: number | null): number | null {
  if (error === null || reference === null) return null;
  if (reference === 0) return error === 0 ? 0 : -Infinity;
  return 1 - error / reference;
}

/** `segment:weekend rmse` is written `segment_weekend_rmse` in a condition. */
const named = (prefix: string, figures: Figures | null): Record<string, number> =>
  Object.fromEntries(
    Object.entries(figures ?? {}).map(([name, value]) => [
      prefix + name.replace(/\W+/g, "_"),
      value,
    ]),
  );

export interface Selection {
  readonly chosen: readonly Candidate[];
  readonly unmatched: number;
  /** Left for a look, each with why. */
  readonly outliers: readonly { readonly candidate: Candidate; readonly because: string }[];
}

export interface Wish {
  readonly where?: string;
  readonly exceptOutliers?: boolean;
}

/** Throws UsageError when the condition cannot be read, or names a figure that no model has. */
export function selectCandidates({ all, cohort }: Candidates, wish: Wish): Selection {
  const matches = wish.where === undefined ? () => true : readWhere(wish.where, all);
  const judge = wish.exceptOutliers === true ? outlierJudge(cohort) : () => null;
  const matching = all.filter(({ figures }) => matches(figures));
  const reasons = new Map(
    matching.map((candidate) => [candidate, judge(candidate.judged)] as const),
  );
  return {
    chosen: matching.filter((candidate) => reasons.get(candidate) === null),
    unmatched: all.length - matching.length,
    outliers: matching.flatMap((candidate) => {
      const because = reasons.get(candidate) ?? null;
      return because === null ? [] : [{ candidate, because }];
    }),
  };
}

function readWhere(text: string, all: readonly Candidate[]) {
  const kinds = new Map<string, FigureKind>();
  for (const { figures } of all)
    for (const [name, figure] of Object.entries(figures))
      kinds.set(name, typeof figure === "string" ? "text" : "number");
  try {
    return parseWhere(text, kinds);
  } catch (error) {
    if (!(error instanceof WhereError)) throw error;
    const names = [...kinds.keys()];
    const close = error.field === undefined ? undefined : nearest(error.field, names);
    throw new UsageError(
      `--where: ${error.message}${close === undefined ? "" : ` (nearest: ${close})`}`,
      error.field === undefined ? error.hint : `the figures are ${names.join(", ")}`,
    );
  }
}
