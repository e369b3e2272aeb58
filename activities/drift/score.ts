/** Asks champions for predictions of newly labelled rows, a few of each customer, and judges their error. */
import { cancellationSignal, log } from "@temporalio/activity";
import type pg from "pg";
import { compareError, excessOf, figureWords, newestWindow } from "../../fleet/drift.js";
import type { DriftPolicy } from "../../fleet/drift.schema.js";
import { meanError } from "../../fleet/drift-statistics.js";
import { bindWindow } from "../../fleet/sql.js";
import { furthestStage } from "../../fleet/stages.js";
import { cycleWindow, type Window } from "../../fleet/window.js";
import { messageOf } from "../application-failure.js";
import { csvLines } from "../csv-lines.js";
import { datasetColumns } from "../export/columns.js";
import { describeQuery } from "../export/describe-query.js";
import type { Warehouse } from "../export/warehouse.js";
import { inParallel } from "../in-parallel.js";
import { readAskedVersions } from "../ledger/publications.js";
import {
  championGroups,
  customersToScore,
  recordScored,
  recordUnscored,
  stagesServing,
  type DriftRun,
  type Scored,
} from "../ledger/drift.js";
import type { StageAccess } from "../stage-access.js";
import { askModel, type ModelQuestion } from "../verification.js";
import { readSampled, sampleQuery, type SampledRow } from "./sample-query.js";

export interface Scoring {
  readonly ledger: pg.Pool;
  readonly stageAccess: StageAccess;
  readonly run: DriftRun;
  readonly policy: DriftPolicy;
  readonly error: NonNullable<DriftPolicy["error"]>;
}

/** Models asked at a time: the endpoint has others to answer. */
const AT_A_TIME = 4;

export async function scoreChampions(warehouse: Warehouse, scoring: Scoring): Promise<void> {
  const { ledger, run, policy, error } = scoring;
  const { gate } = run.spec;
  const chosen = await customersToScore(ledger, run, {
    metric: gate.metric,
    rows: policy.minimumRows,
    limit: error.customers,
  });
  const { ceiling } = cycleWindow(run.spec.source.window, run.at);
  for await (const { cycle, window } of championGroups(ledger, run.fleet)) {
    const asked = chosen.filter((one) => one.cycle === cycle);
    const newest = newestWindow(window, { ceiling, days: policy.window?.days });
    if (asked.length > 0 && newest !== null)
      await scoreGroup(warehouse, scoring, { asked, newest });
  }
}

async function scoreGroup(
  warehouse: Warehouse,
  scoring: Scoring,
  { asked, newest }: { readonly asked: readonly Scored[]; readonly newest: Window },
): Promise<void> {
  const { source } = scoring.run.spec;
  const bound = bindWindow(source.query, newest);
  const sql = sampleQuery({
    newest: bound,
    customers: asked.map(({ customer }) => customer),
    columns: datasetColumns(await describeQuery(warehouse, bound), source),
    rows: scoring.error.sample,
  });
  const byCustomer = new Map(asked.map((one) => [one.customer, one]));
  let waiting: { champion: Scored; rows: SampledRow[] }[] = [];
  const ask = async () => {
    const batch = waiting;
    waiting = [];
    await inParallel(AT_A_TIME, batch, ({ champion, rows }) =>
      scoreCustomer(scoring, champion, rows),
    );
  };
  for await (const rows of samples(warehouse, sql)) {
    const champion = byCustomer.get(rows[0]?.customer ?? "");
    if (champion !== undefined) waiting.push({ champion, rows });
    if (waiting.length >= AT_A_TIME) await ask();
  }
  await ask();
}

/** One customer's at a time. */
async function* samples(warehouse: Warehouse, sql: string): AsyncGenerator<SampledRow[]> {
  let rows: SampledRow[] = [];
  for await (const line of csvLines(warehouse.copy(sql))) {
    const row = readSampled(line);
    if (rows.length > 0 && rows[0]?.customer !== row.customer) {
      yield rows;
      rows = [];
    }
    rows.push(row);
  }
  if (rows.length > 0) yield rows;
}

async function scoreCustomer(
  scoring: Scoring,
  champion: Scored,
  rows: readonly SampledRow[],
): Promise<void> {
  const { ledger, run, error } = scoring;
  const { fleet, spec } = run;
  const { customerKey, version, atRegistration } = champion;
  const answer = await askChampion(
    scoring,
    champion,
    rows.map(({ features }) => features),
  );
  if (answer === null) return;
  const because =
    "because" in answer
      ? answer.because
      : answer.predictions.length !== rows.length
        ? `it answered ${rows.length} rows with ${answer.predictions.length} predictions`
        : null;
  if (because !== null || "because" in answer) {
    log.warn("champion not scored", { fleet, customerKey, version, because });
    return recordUnscored(ledger, run, { customerKey, because: because ?? "" });
  }
  const { metric } = spec.gate;
  const now = meanError(
    metric,
    rows.map(({ target }, place) => ({ target, prediction: answer.predictions[place] ?? NaN })),
  );
  if (!Number.isFinite(now.value))
    return recordUnscored(ledger, run, { customerKey, because: "it answered with no number" });
  const figure = compareError(metric, { now, atRegistration }, error.ratio);
  await recordScored(ledger, run, {
    customerKey,
    rows: rows.length,
    figure,
    excess: excessOf(figure),
    because: figure.exceeds
      ? `${figureWords(figure)} (${Number(atRegistration.toPrecision(3))} at registration)`
      : null,
  });
}

type Answer = Awaited<ReturnType<typeof askModel>>;

/**
 * The last stage is asked, which is what customers are answered by; of a version that has not come so far, the
 * furthest one that serves it. Null: it has been replaced or withdrawn since the run began.
 */
async function askChampion(
  { ledger, stageAccess, run: { fleet, spec } }: Scoring,
  champion: Scored,
  rows: ModelQuestion["rows"],
): Promise<Answer | null> {
  const stage = furthestStage(spec, await stagesServing(ledger, { fleet, ...champion }));
  if (stage === undefined) return null;
  const [served] = await readAskedVersions(ledger, { fleet, stage: stage.name }, [champion]);
  if (served?.release?.state !== "serving") return null;
  const { endpointName, targetModel } = served.address;
  try {
    const { runtime } = await stageAccess(stage);
    return await askModel(runtime, { endpointName, targetModel, rows });
  } catch (failure) {
    cancellationSignal().throwIfAborted();
    return { because: messageOf(failure) };
  }
}
