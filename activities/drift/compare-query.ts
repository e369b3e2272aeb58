/** The one statement that compares two windows of a fleet's rows: histograms are made in Postgres, and only they leave. */
import pg from "pg";
import { CATEGORY_CELLS, NULL_CELL, QUANTILES } from "../../fleet/drift-statistics.js";
import { quoted } from "../../fleet/query-columns.js";

export interface ComparedColumn {
  readonly name: string;
  readonly kind: "number" | "category";
  /** The warehouse has it as a boolean, which is a number here. */
  readonly boolean: boolean;
}

export interface CompareQuery {
  /** The fleet's query over the champions' window, bound. */
  readonly reference: string;
  /** The same over the new rows. */
  readonly newest: string;
  /** Of source.customer. */
  readonly customerColumn: string;
  /** Those that are compared, as the warehouse calls them. */
  readonly customers: readonly string[];
  readonly columns: readonly ComparedColumn[];
}

/**
 * Rows `customer, column's place, cells`, by customer; `cells` is `code reference newest;…`. Three scans of the
 * query's rows: of the reference twice (its deciles, then its counts) and once of the new window.
 * The deciles of all numbers come from one aggregate, which has each customer's rows sorted once. The counts of all
 * columns come from grouping sets: each row is dealt to its cells once, and counted in a hash table for each column,
 * which has an entry for each customer and cell, however many rows there are. Unpivoting the rows into one table took
 * four times as long.
 */
export function compareQuery(o: CompareQuery): string {
  const { columns } = o;
  const numbers = columns.flatMap((column, place) => (column.kind === "number" ? [place] : []));
  const quantiles = numbers.map(
    (place) =>
      `percentile_disc(array[${QUANTILES.join(", ")}]) within group (order by ${valueOf(place)}) as q${place}`,
  );
  const thresholds = numbers.map((place) => `${thresholdsOf(`q${place}`)} as e${place}`);
  const codes = columns.map((_column, place) => `c${place}`);
  const whose = codes.map((code, place) => `when ${code} is not null then ${place}`).join(" ");
  return `with wanted as materialized (
  select jsonb_array_elements_text(${pg.escapeLiteral(JSON.stringify(o.customers))}::jsonb) collate "C" as customer),
reference as not materialized (${rowsOf(o, o.reference)}),
newest as not materialized (${rowsOf(o, o.newest)}),
quantiles as (
  select customer${["", ...quantiles].join(",\n         ")}
    from reference group by customer),
edges as materialized (
  select customer${["", ...thresholds].join(",\n         ")}
    from quantiles),
counted as (
  select customer, case ${whose} end as place, coalesce(${codes.join(", ")}) as code,
         count(*) filter (where not is_newest) as reference, count(*) filter (where is_newest) as newest
    from (${cellsOf(o, "reference", false)}
           union all
          ${cellsOf(o, "newest", true)}) as cells
   group by grouping sets (${codes.map((code) => `(customer, ${code})`).join(", ")}))
select customer, place, string_agg(code || ' ' || reference || ' ' || newest, ';' order by code) as cells
  from counted group by customer, place order by customer, place`;
}

/** What Postgres expects a column's table to come to; it sorts the rows for those that do not find room. */
const MEGABYTES_PER_COLUMN = 8;
const MOST_MEGABYTES = 512;

/**
 * Lets the transaction's hash tables have the room that the comparison of so many columns takes, unless they have more;
 * sorts keep what the server gives them. Beyond it, tables go to disk.
 */
export function roomQuery(columns: number): string {
  const kilobytes = Math.min(MOST_MEGABYTES, MEGABYTES_PER_COLUMN * columns) * 1024;
  return `select set_config('hash_mem_multiplier', least(1000, greatest(
    current_setting('hash_mem_multiplier')::float8, ${kilobytes} / setting::float8))::text, true)
  from pg_settings where name = 'work_mem'`;
}

/** Our own names, since the query's could clash with ours; as the exporter has them. */
function rowsOf({ columns, customerColumn }: CompareQuery, query: string): string {
  const picked = columns.map(({ name, kind, boolean }, place) => {
    const value = `given.${quoted(name)}`;
    if (kind === "category") return `${value}::text as v${place}`;
    return `${boolean ? `${value}::int` : value}::float8 as v${place}`;
  });
  return `
  select picked.* from (
    select given.${quoted(customerColumn)}::text collate "C" as customer,
           ${picked.join(",\n           ")}
      from (
${query}
           ) as given) as picked join wanted using (customer)`;
}

const valueOf = (place: number): string => `v${place}`;

/**
 * A value that is two deciles at once holds a tenth of the rows by itself, or more: a zero, a boolean. It gets a cell of
 * its own, by a second edge just above it; else a value that is 99 % of the rows would hide what happens to the rest.
 * Numbers too small or large for an edge beside them are left with one.
 */
const thresholdsOf = (quantiles: string): string => `coalesce((
    select array_agg(edge order by edge)
      from (select q, count(*) as times from unnest(${quantiles}) as q group by q) as decile,
           lateral (values (q), (case when times > 1 and abs(q) < 1e300
                                      then q + greatest(abs(q), 1e-200) * 1e-15 end)) as edges (edge)
     where edge is not null), '{}')`;

function cellsOf({ columns }: CompareQuery, window: string, isNewest: boolean): string {
  const codes = columns.map(({ kind }, place) => {
    const code =
      kind === "number"
        ? `width_bucket(r.v${place}, e.e${place})`
        : `(hashtextextended(r.v${place}, 0) & ${CATEGORY_CELLS - 1})::int`;
    return `coalesce(${code}, ${NULL_CELL}) as c${place}`;
  });
  return `select r.customer, ${isNewest} as is_newest, ${codes.join(", ")}
            from ${window} as r join edges as e using (customer)`;
}
