/** Compares what a fleet declares with the columns its query really has. */
import type { GatePolicy } from "../fleet/gate.schema.js";
import {
  columnKind,
  featuresOf,
  numberSelection,
  type QueryColumn,
  usableSelection,
} from "../fleet/query-columns.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import type { SpecIssue } from "./fleet-file-invalid.js";
import { nearest } from "./nearest.js";

export function checkColumns(
  source: FleetSpec["source"],
  columns: readonly QueryColumn[],
  segments: GatePolicy["segments"] = [],
  ignored: readonly string[] = [],
): SpecIssue[] {
  const names = columns.map((column) => column.name);
  const features = featuresOf(columns, source);
  const issues = [
    ...roleIssues(source, names),
    ...duplicates(names),
    ...targetIssues(source, columns),
    ...features.flatMap(featureIssue),
    ...segmentIssues(segments, features),
    ...ignoreIssues(ignored, [source.target, ...features.map(({ name }) => name)]),
  ];
  if (issues.length === 0 && features.length === 0) {
    issues.push({
      field: "source.query",
      problem: "has no column to predict from",
      hint: "select more than the customer and the target",
    });
  }
  return issues;
}

function roleIssues(source: FleetSpec["source"], names: readonly string[]): SpecIssue[] {
  const roles = {
    "source.customer": source.customer,
    "source.target": source.target,
    ...(source.split.column === undefined ? {} : { "source.split.column": source.split.column }),
  };
  return Object.entries(roles)
    .filter(([, name]) => !names.includes(name))
    .map(([field, name]) => ({
      field,
      value: JSON.stringify(name),
      problem: "is not a column of the query",
      hint: meant(name, names, "its columns"),
    }));
}

function segmentIssues(
  segments: GatePolicy["segments"],
  features: readonly QueryColumn[],
): SpecIssue[] {
  const names = features.map(({ name }) => name);
  return segments.flatMap(({ column }, index) =>
    names.includes(column)
      ? []
      : [
          {
            field: `gate.segments.${index}.column`,
            value: JSON.stringify(column),
            problem: "is not a feature of the query",
            hint: meant(column, names, "its features"),
          },
        ],
  );
}

/** What a look for drift leaves out must be what it would look at. */
function ignoreIssues(ignored: readonly string[], names: readonly string[]): SpecIssue[] {
  return ignored.flatMap((column, index) =>
    names.includes(column)
      ? []
      : [
          {
            field: `drift.ignore.${index}`,
            value: JSON.stringify(column),
            problem: "is not a column that is looked at",
            hint: meant(column, names, "those are"),
          },
        ],
  );
}

function meant(name: string, names: readonly string[], what: string): string {
  const close = nearest(name, names);
  return close === undefined ? `${what}: ${names.join(", ")}` : `did you mean "${close}"?`;
}

function featureIssue(column: QueryColumn): SpecIssue[] {
  if (columnKind(column) !== undefined) return [];
  return [
    {
      field: "source.query",
      value: JSON.stringify(column.name),
      problem: `is of type ${column.type}, which no model can use as it is`,
      hint: `leave it out, or select it as ${usableSelection(column)}`,
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
  if (target !== undefined && columnKind(target) !== "number") {
    issues.push({
      field: "source.target",
      value: JSON.stringify(source.target),
      problem: `is of type ${target.type}; a regression predicts a number`,
      hint: `cast it in the query: ${numberSelection(source.target)}`,
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
