/** Decides what each column of a fleet's query is to a model, and refuses what no model can use. */
import { distance } from "fastest-levenshtein";
import { FAILURES } from "../../fleet/errors.js";
import type { GatePolicy } from "../../fleet/gate.schema.js";
import {
  columnKind,
  featuresOf,
  numberSelection,
  type QueryColumn,
  usableSelection,
} from "../../fleet/query-columns.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { permanent } from "../application-failure.js";

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
  if (columnKind(target) !== "number")
    throw permanent(FAILURES.queryInvalid, {
      message: `source.target "${target.name}" is ${target.type}, a number is needed`,
      hint: `cast it in source.query: ${numberSelection(target.name)}`,
    });
  const features = featuresOf(columns, source);
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
    booleans: new Set(
      features.filter((column) => columnKind(column) === "boolean").map(({ name }) => name),
    ),
  };
}

/** The gate can only look at rows by what the training script sees of them. */
export function refuseUnknownSegments(
  { features }: DatasetColumns,
  { segments }: GatePolicy,
): void {
  const names = features.map(({ name }) => name);
  for (const { column } of segments) {
    if (names.includes(column)) continue;
    throw permanent(FAILURES.queryInvalid, {
      message: `gate.segments names "${column}", which is no feature of source.query (it has ${names.join(", ")})`,
      hint: `did you mean "${nearest(column, names)}"? Customer, target and split.column are no features`,
    });
  }
}

function feature(column: QueryColumn): FeatureColumn {
  const kind = columnKind(column);
  if (kind !== undefined)
    return { name: column.name, type: kind === "category" ? "category" : "number" };
  throw permanent(FAILURES.queryInvalid, {
    message: `column "${column.name}" is ${column.type}, which no model can use as it is`,
    hint: `leave it out of source.query, or select it as ${usableSelection(column)}`,
  });
}

function find(columns: readonly QueryColumn[], name: string, field: string): QueryColumn {
  const found = columns.find((column) => column.name === name);
  if (found !== undefined) return found;
  const names = columns.map((column) => column.name);
  throw permanent(FAILURES.queryInvalid, {
    message: `source.query has no column "${name}", which ${field} names (it has ${names.join(", ")})`,
    hint:
      columns.length === 0
        ? "select at least the customer, the target and one feature"
        : `did you mean "${nearest(name, names)}"?`,
  });
}

/** Of names that are not empty. */
const nearest = (name: string, names: readonly string[]): string =>
  [...names].sort((a, b) => distance(name, a) - distance(name, b))[0] ?? name;

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
