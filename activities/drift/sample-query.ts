/** A few newly labelled rows of each customer, as its model is asked for them. */
import pg from "pg";
import { quoted } from "../../fleet/query-columns.js";
import { fieldValue } from "../export/row-splitter.js";
import type { DatasetColumns } from "../export/columns.js";

export interface SampleQuery {
  /** The fleet's query over the new rows, bound. */
  readonly newest: string;
  readonly customers: readonly string[];
  readonly columns: DatasetColumns;
  /** Rows of each customer. */
  readonly rows: number;
}

/** Another constant than the export's split: the sample leans towards none of its parts. */
const SEED = 4177;

/**
 * Rows `customer, target, feature …`, by customer: those with the smallest hashes, so that the same rows are asked for
 * at every attempt. Only rows that the export would take.
 */
export function sampleQuery({ newest, customers, columns, rows }: SampleQuery): string {
  const features = columns.features.map(({ name }, place) =>
    columns.booleans.has(name) ? `f${place}::int` : `f${place}`,
  );
  const picked = columns.features.map(({ name }, place) => `given.${quoted(name)} as f${place}`);
  return `select customer, ${["target", ...features].join(", ")}
  from (select ranked.*, row_number() over (partition by customer order by hash, target) as place
          from (select picked.*, hashtextextended(picked::text, ${SEED}) as hash
                  from (select given.${quoted(columns.customer)}::text collate "C" as customer,
                               ${[`given.${quoted(columns.target)} as target`, ...picked].join(", ")}
                          from (
${newest}
                               ) as given) as picked
                 where customer in (select jsonb_array_elements_text(${pg.escapeLiteral(JSON.stringify(customers))}::jsonb))
                   and target::float8 > '-Infinity' and target::float8 < 'Infinity') as ranked) as placed
 where place <= ${rows}
 order by customer, place`;
}

export interface SampledRow {
  readonly customer: string;
  readonly target: number;
  /** The features as CSV. */
  readonly features: string;
}

/** Of one line of the COPY, with its newline. */
export function readSampled(line: Buffer): SampledRow {
  const afterCustomer = fieldEnd(line, 0);
  const afterTarget = fieldEnd(line, afterCustomer + 1);
  return {
    customer: fieldValue(line.subarray(0, afterCustomer)),
    target: Number(line.subarray(afterCustomer + 1, afterTarget).toString("utf8")),
    features: line
      .subarray(afterTarget + 1)
      .toString("utf8")
      .replace(/\r?\n$/, ""),
  };
}

const COMMA = 0x2c;
const QUOTE = 0x22;

/** The comma that ends the field, outside of quotes. A doubled quote is two: the count stays right. */
function fieldEnd(line: Buffer, start: number): number {
  let quotes = 0;
  for (let at = start; at < line.length; at++) {
    if (line[at] === QUOTE) quotes++;
    else if (line[at] === COMMA && quotes % 2 === 0) return at;
  }
  throw new Error("the warehouse's stream has a row with too few fields");
}
