/** Compares the window that each champion was trained on with the rows since, for all customers of a cycle at a time. */
import type pg from "pg";
import {
  compareColumns,
  excessOf,
  figureWords,
  newestWindow,
  rowsOf,
  watchedColumns,
  type ColumnCounts,
  type DriftFigure,
} from "../../fleet/drift.js";
import type { DriftPolicy } from "../../fleet/drift.schema.js";
import type { Cell } from "../../fleet/drift-statistics.js";
import { bindWindow } from "../../fleet/sql.js";
import { cycleWindow } from "../../fleet/window.js";
import { csvLines } from "../csv-lines.js";
import { datasetColumns, type DatasetColumns } from "../export/columns.js";
import { describeQuery } from "../export/describe-query.js";
import { fieldValue } from "../export/row-splitter.js";
import type { Warehouse } from "../export/warehouse.js";
import {
  championGroups,
  recordCompared,
  type ChampionGroup,
  type Compared,
  type DriftRun,
} from "../ledger/drift.js";
import { compareQuery, roomQuery, type ComparedColumn } from "./compare-query.js";

export interface Comparison {
  readonly ledger: pg.Pool;
  readonly run: DriftRun;
  readonly policy: DriftPolicy;
}

/** Returns the first statement that it ran; null when there was nobody to compare. */
export async function compareGroups(
  warehouse: Warehouse,
  comparison: Comparison,
): Promise<string | null> {
  const { ledger, run } = comparison;
  const { source } = run.spec;
  const { floor, ceiling } = cycleWindow(source.window, run.at);
  const bound = bindWindow(source.query, { floor, ceiling });
  const columns = datasetColumns(await describeQuery(warehouse, bound), source);
  const compared = comparedColumns(columns, comparison.policy);
  await warehouse.query(roomQuery(compared.length));
  let first: string | null = null;
  for await (const group of championGroups(ledger, run.fleet)) {
    const sql = await compareGroup(warehouse, comparison, { group, ceiling, columns, compared });
    first ??= sql;
  }
  return first;
}

/** The target too: labels drift. */
function comparedColumns(
  { target, features, booleans }: DatasetColumns,
  { ignore }: DriftPolicy,
): ComparedColumn[] {
  const all = [{ name: target, type: "number" as const }, ...features];
  return watchedColumns(all, ignore).map(({ name, type }) => ({
    name,
    kind: type,
    boolean: booleans.has(name),
  }));
}

interface GroupComparison {
  readonly group: ChampionGroup;
  readonly ceiling: string;
  readonly columns: DatasetColumns;
  readonly compared: readonly ComparedColumn[];
}

const CUSTOMERS_PER_STATEMENT = 500;

async function compareGroup(
  warehouse: Warehouse,
  { ledger, run, policy }: Comparison,
  { group, ceiling, columns, compared }: GroupComparison,
): Promise<string | null> {
  const newest = newestWindow(group.window, { ceiling, days: policy.window?.days });
  const left = new Map(group.champions.map((champion) => [champion.customer, champion]));
  const judge = judgeOf(group, policy);
  let sql: string | null = null;
  if (newest !== null) {
    sql = compareQuery({
      reference: bindWindow(run.spec.source.query, group.window),
      newest: bindWindow(run.spec.source.query, newest),
      customerColumn: columns.customer,
      customers: [...left.keys()],
      columns: compared,
    });
    let batch: Compared[] = [];
    for await (const { customer, counts } of histograms(warehouse, sql, compared)) {
      const champion = left.get(customer);
      if (champion === undefined) continue;
      left.delete(customer);
      batch.push(judge(champion, counts));
      if (batch.length < CUSTOMERS_PER_STATEMENT) continue;
      await recordCompared(ledger, run, batch);
      batch = [];
    }
    await recordCompared(ledger, run, batch);
  }
  const because =
    newest === null ? "its champion's window is the newest" : "no rows in its champion's window";
  const rest = [...left.values()].map((champion) => ({ ...judge(champion, []), because }));
  for (let at = 0; at < rest.length; at += CUSTOMERS_PER_STATEMENT)
    await recordCompared(ledger, run, rest.slice(at, at + CUSTOMERS_PER_STATEMENT));
  return sql;
}

type Champion = ChampionGroup["champions"][number];

const judgeOf =
  ({ cycle }: ChampionGroup, policy: DriftPolicy) =>
  (champion: Champion, counts: readonly ColumnCounts[]): Compared => {
    const { reference, newest, tooFew } = rowsOf(counts, policy.minimumRows);
    const common = { ...champion, cycle, reference, newest };
    if (tooFew !== null)
      return { ...common, figures: [], excess: null, drifted: false, because: tooFew };
    const figures = compareColumns(counts, policy);
    const exceeding = figures.filter(({ exceeds }) => exceeds);
    const [worst] = figures;
    return {
      ...common,
      figures: kept(figures),
      excess: worst === undefined ? null : excessOf(worst),
      drifted: exceeding.length > 0,
      because:
        exceeding.length > 0 ? exceedingWords(exceeding) : "nothing has moved past its threshold",
    };
  };

/** Those that exceed, and of each measure the worst. They come worst first. */
function kept(figures: readonly DriftFigure[]): DriftFigure[] {
  const seen = new Set<string>();
  return figures.filter(({ measure, exceeds }) => {
    const first = !seen.has(measure);
    seen.add(measure);
    return first || exceeds;
  });
}

const TOLD = 3;

function exceedingWords(exceeding: readonly DriftFigure[]): string {
  const told = exceeding.slice(0, TOLD).map(figureWords);
  const more = exceeding.length - told.length;
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}

interface CustomerCounts {
  readonly customer: string;
  readonly counts: readonly ColumnCounts[];
}

/** One customer at a time: rows come in their order. */
async function* histograms(
  warehouse: Warehouse,
  sql: string,
  columns: readonly ComparedColumn[],
): AsyncGenerator<CustomerCounts> {
  let current: { customer: string; counts: ColumnCounts[] } | undefined;
  for await (const line of csvLines(warehouse.copy(sql))) {
    const { customer, place, cells } = readLine(line);
    const column = columns[place];
    if (column === undefined) continue;
    if (current?.customer !== customer) {
      if (current !== undefined) yield current;
      current = { customer, counts: [] };
    }
    current.counts.push({ column: column.name, kind: column.kind, cells });
  }
  if (current !== undefined) yield current;
}

/** `customer,place,code reference newest;…`: only the customer may be quoted. */
function readLine(line: Buffer): { customer: string; place: number; cells: Cell[] } {
  const text = line.toString("utf8").trimEnd();
  const cellsAt = text.lastIndexOf(",");
  const placeAt = text.lastIndexOf(",", cellsAt - 1);
  const cells = text
    .slice(cellsAt + 1)
    .split(";")
    .map((cell) => {
      const [code = NaN, reference = NaN, newest = NaN] = cell.split(" ").map(Number);
      return { code, reference, newest };
    });
  const customer = fieldValue(Buffer.from(text.slice(0, placeAt)));
  return { customer, place: Number(text.slice(placeAt + 1, cellsAt)), cells };
}
