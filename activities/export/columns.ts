/** Decides what each column of a fleet's query is to a model, and refuses what no model can use. */
import { distance } from "fastest-levenshtein";
import { FAILURES } from "../../fleet/errors.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { permanent } from "../application-failure.js";

/** A column as the warehouse describes it. */
export interface QueryColumn {
  readonly name: string;
  /** `format_type`'s words, such as `integer` or `timestamp with time zone`. */
  readonly type: string;
  /** pg_type.typcategory of the type, or of the type under a domain. */
  readonly category: string;
}

export interface FeatureColumn {
  readonly name: string;
  readonly type: "number" | "category";
}

export interface DatasetColumns {
  readonly customer: string;
  readonly target: string;
  /** The column that a split by time orders by; it is no feature. */
  readonly time?: string;
  readonly features: readonly FeatureColumn[];
  /** Features that the warehouse has as booleans: exported as 0 and 1. */
  readonly booleans: ReadonlySet<string>;
}

export function datasetColumns(
  columns: readonly QueryColumn[],
  source: FleetSpec["source"],
): DatasetColumns {
  refuseDuplicates(columns);
  const customer = find(columns, source.customer, "source.customer");
  const target = find(columns, source.target, "source.target");
  const time =
    source.split.column === undefined
      ? undefined
      : find(columns, source.split.column, "source.split.column");
  if (kindOf(target) !== "number" || target.category === "B")
    throw permanent(FAILURES.queryInvalid, {
      message: `source.target "${target.name}" is ${target.type}, a number is needed`,
      hint: `cast it in source.query: ${quoted(target.name)}::double precision`,
    });
  const used = new Set([customer.name, target.name, time?.name]);
  const features = columns.filter((column) => !used.has(column.name));
  if (features.length === 0)
    throw permanent(FAILURES.queryInvalid, {
      message: `source.query has no feature: only ${columns.map((column) => column.name).join(", ")}`,
      hint: "select the columns that the target is to be predicted from",
    });
  return {
    customer: customer.name,
    target: target.name,
    ...(time === undefined ? {} : { time: time.name }),
    features: features.map(feature),
    booleans: new Set(features.filter(({ category }) => category === "B").map(({ name }) => name)),
  };
}

/** An SQL identifier, quoted whatever it holds. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

function feature(column: QueryColumn): FeatureColumn {
  const type = kindOf(column);
  if (type !== undefined) return { name: column.name, type };
  const cast = /^(timestamp|date|time|interval)/.test(column.type)
    ? `extract(epoch from ${quoted(column.name)})`
    : `${quoted(column.name)}::text`;
  throw permanent(FAILURES.queryInvalid, {
    message: `column "${column.name}" is ${column.type}, which no model can use as it is`,
    hint: `leave it out of source.query, or select it as ${cast} as ${quoted(column.name)}`,
  });
}

/** Categories: https://www.postgresql.org/docs/current/catalog-pg-type.html#CATALOG-TYPCATEGORY-TABLE */
function kindOf({ category, type }: QueryColumn): FeatureColumn["type"] | undefined {
  // money prints with a currency sign, and object ids (regclass, oid …) are no quantities.
  if (category === "N") return /^(money|oid|reg[a-z]+)$/.test(type) ? undefined : "number";
  if (category === "B") return "number";
  return category === "S" || category === "E" ? "category" : undefined;
}

function find(columns: readonly QueryColumn[], name: string, field: string): QueryColumn {
  const found = columns.find((column) => column.name === name);
  if (found !== undefined) return found;
  const names = columns.map((column) => column.name);
  const nearest = [...names].sort((a, b) => distance(name, a) - distance(name, b))[0];
  throw permanent(FAILURES.queryInvalid, {
    message: `source.query has no column "${name}", which ${field} names (it has ${names.join(", ")})`,
    hint:
      nearest === undefined
        ? "select at least the customer, the target and one feature"
        : `did you mean "${nearest}"?`,
  });
}

function refuseDuplicates(columns: readonly QueryColumn[]): void {
  const seen = new Set<string>();
  for (const { name } of columns) {
    if (seen.has(name))
      throw permanent(FAILURES.queryInvalid, {
        message: `source.query returns two columns called "${name}"`,
        hint: "give one of them another name with AS",
      });
    seen.add(name);
  }
}
