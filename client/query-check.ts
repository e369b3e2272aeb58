/** Compares what a fleet declares with the columns its query really has. */
import type { FleetSpec } from "../fleet/spec.schema.js";
import type { SpecIssue } from "./fleet-file-invalid.js";
import { nearest } from "./nearest.js";
import type { QueryColumn } from "./warehouse.js";

export function checkColumns(
  source: FleetSpec["source"],
  columns: readonly QueryColumn[],
): SpecIssue[] {
  const names = columns.map((column) => column.name);
  const issues: SpecIssue[] = [];
  const roles = {
    "source.customer": source.customer,
    "source.target": source.target,
    ...(source.split.column === undefined ? {} : { "source.split.column": source.split.column }),
  };
  for (const [field, name] of Object.entries(roles)) {
    if (names.includes(name)) continue;
    const close = nearest(name, names);
    issues.push({
      field,
      value: JSON.stringify(name),
      problem: "is not a column of the query",
      hint: close === undefined ? `its columns: ${names.join(", ")}` : `did you mean "${close}"?`,
    });
  }
  issues.push(...duplicates(names), ...targetIssues(source, columns));
  const used = [source.customer, source.target, source.split.column];
  const features = columns.filter(({ name }) => !used.includes(name));
  issues.push(...features.flatMap(featureIssue));
  if (issues.length === 0 && features.length === 0) {
    issues.push({
      field: "source.query",
      problem: "has no column to predict from",
      hint: "select more than the customer and the target",
    });
  }
  return issues;
}

/** Categories: https://www.postgresql.org/docs/current/catalog-pg-type.html#CATALOG-TYPCATEGORY-TABLE */
function kindOf({ category, type }: QueryColumn): "number" | "boolean" | "text" | "unusable" {
  // money prints with a currency sign, and object ids (regclass, oid …) are no quantities.
  if (category === "N") return /^(money|oid|reg[a-z]+)$/.test(type) ? "unusable" : "number";
  if (category === "B") return "boolean";
  return category === "S" || category === "E" ? "text" : "unusable";
}

function featureIssue(column: QueryColumn): SpecIssue[] {
  if (kindOf(column) !== "unusable") return [];
  const { name, type } = column;
  const cast = /^(timestamp|date|time|interval)/.test(type)
    ? `extract(epoch from ${name}) as ${name}`
    : `${name}::text`;
  return [
    {
      field: "source.query",
      value: JSON.stringify(name),
      problem: `is of type ${type}, which no model can use as it is`,
      hint: `leave it out, or select it as ${cast}`,
    },
  ];
}

function duplicates(names: readonly string[]): SpecIssue[] {
  const twice = new Set(names.filter((name, place) => names.indexOf(name) !== place));
  return [...twice].map((name) => ({
    field: "source.query",
    value: JSON.stringify(name),
    problem: "is the name of two columns",
    hint: "give one of them another name with AS",
  }));
}

function targetIssues(source: FleetSpec["source"], columns: readonly QueryColumn[]): SpecIssue[] {
  const issues: SpecIssue[] = [];
  const target = columns.find((column) => column.name === source.target);
  if (target !== undefined && kindOf(target) !== "number") {
    issues.push({
      field: "source.target",
      value: JSON.stringify(source.target),
      problem: `is of type ${target.type}; a regression predicts a number`,
      hint: `cast it in the query: ${source.target}::double precision`,
    });
  }
  if (source.target === source.customer) {
    issues.push({
      field: "source.target",
      value: JSON.stringify(source.target),
      problem: "is also the customer column",
    });
  }
  return issues;
}
