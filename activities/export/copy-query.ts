/** Wraps a fleet's query into the one SELECT that is exported, ordered so that it can be split as it streams. */
import pg from "pg";
import { quoted } from "../../fleet/query-columns.js";
import type { DatasetColumns } from "./columns.js";

/** Any constant will do, but another one would deal every row to another split. */
const SEED = 7230;

/** hash_record_extended came with version 14, and costs a third of hashing the row's text. */
const HASH_RECORD_SINCE = 140_000;

/** The greatest double below 2^63: a bigint still, and shares times it lose nothing. */
const GREATEST_PLACE = "9223372036854774784";

/**
 * Each row is `place, customer, target, feature …`. `place` is a bigint that grows within a customer and says where
 * among its rows this one stands, from the least bigint to the greatest; the split is read off it (`splitOf`). It
 * comes first because Postgres sorts faster by a column at a fixed offset (measured: 1.5 times). Equal rows have
 * equal places, so a customer's bytes are the same at every export of the same rows.
 */
export function copyQuery(o: {
  /** The fleet's query, with its window bound. */
  readonly query: string;
  readonly columns: DatasetColumns;
  readonly serverVersion: number;
  /** Only these, as the warehouse calls them; by default all. */
  readonly customers?: readonly string[];
}): string {
  const { columns } = o;
  const hash =
    o.serverVersion >= HASH_RECORD_SINCE
      ? `hash_record_extended(picked, ${SEED})`
      : `hashtextextended(picked::text, ${SEED})`;
  const features = columns.features.map(({ name }, index) =>
    columns.booleans.has(name) ? `f${index}::int` : `f${index}`,
  );
  const wanted =
    o.customers === undefined
      ? ""
      : `
                 where given.${quoted(columns.customer)}::text in
                       (select jsonb_array_elements_text(${pg.escapeLiteral(JSON.stringify(o.customers))}::jsonb))`;
  const byTime = columns.time !== undefined;
  return `select place, customer, ${["target", ...features].join(", ")}
  from (select ${byTime ? PLACE_BY_TIME : hash} as place, ${hash} as hash, picked.*
          from (select ${pickedColumns(columns).join(",\n                       ")}
                  from (
${o.query}
                       ) as given${wanted}) as picked) as placed
 order by customer, place${byTime ? ", hash" : ""}`;
}

/**
 * Our own names, since the query's could clash with each other and with ours. The customer's bytes, not its
 * language's order, decide the order: the same on every server, and faster.
 */
function pickedColumns({ customer, target, time, features }: DatasetColumns): string[] {
  return [
    `given.${quoted(customer)}::text collate "C" as customer`,
    `given.${quoted(target)} as target`,
    ...(time === undefined ? [] : [`given.${quoted(time)} as split_time`]),
    ...features.map(({ name }, index) => `given.${quoted(name)} as f${index}`),
  ];
}

/**
 * The share of the customer's usable rows that are older. Rows of one time share a split, rows without a time count
 * as oldest, and rows that cannot be used do not count.
 */
const PLACE_BY_TIME = `((percent_rank() over (
            partition by customer, target::float8 > '-Infinity' and target::float8 < 'Infinity'
            order by split_time nulls first) * 2 - 1) * ${GREATEST_PLACE}::float8)::bigint`;
