/** Tells what is wrong with a fleet file: the field, its value, what would be right; all at once. */
import { z } from "zod";
import { fleetDeclarationSchema } from "../fleet/spec.schema.js";
import type { SpecIssue } from "./fleet-file-invalid.js";
import { nearest } from "./nearest.js";

export function describeZodIssues(
  issues: readonly z.core.$ZodIssue[],
  declaration: unknown,
): SpecIssue[] {
  return issues.flatMap((issue) => describe(issue, declaration));
}

function describe(issue: z.core.$ZodIssue, declaration: unknown): SpecIssue[] {
  const field = issue.path.map(String).join(".");
  const value = valueAt(declaration, issue.path);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => unknownField(issue.path, key, declaration));
  }
  if (value === undefined) {
    if (issue.code === "invalid_union" && issue.message !== "Invalid input")
      return [{ field, problem: issue.message }];
    const custom = issue.code === "custom";
    return [
      { field, problem: custom ? issue.message : "is missing", hint: `add ${lastOf(field)}` },
    ];
  }
  const shown = { field, value: show(value) };
  if (issue.code === "invalid_value") {
    const allowed = issue.values.map((allowedValue) => JSON.stringify(allowedValue)).join(" or ");
    const custom = !/^Invalid (input|option)/.test(issue.message);
    return [{ ...shown, problem: custom ? issue.message : `must be ${allowed}` }];
  }
  if (issue.code === "invalid_union") {
    const forms = new Set(issue.errors.flat().map((branch) => plain(branch.message)));
    const custom = issue.message !== "Invalid input";
    return [{ ...shown, problem: custom ? issue.message : [...forms].join(", or ") }];
  }
  return [{ ...shown, problem: plain(issue.message) }];
}

function unknownField(path: readonly PropertyKey[], key: string, declaration: unknown): SpecIssue {
  const known = knownFields(path, declaration);
  const close = nearest(key, known);
  return {
    field: [...path.map(String), key].join("."),
    value: show(valueAt(declaration, [...path, key])),
    problem: "is not a field of a fleet file",
    hint: close === undefined ? `fields here: ${known.join(", ")}` : `did you mean "${close}"?`,
  };
}

const BOUNDS = { "<": "less than", "<=": "at most", ">": "more than", ">=": "at least" };

/** Zod's "Invalid input: expected string, received number" in our words; our own messages as they are. */
function plain(message: string): string {
  return message
    .replace(/^Invalid input: expected (\w+), received (\w+)$/, "must be of type $1, not $2")
    .replace(
      /^Too (?:big|small): expected \w+ to (be|have) ([<>]=?)/,
      (_, verb: string, sign: keyof typeof BOUNDS) => `must ${verb} ${BOUNDS[sign]} `,
    );
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.entries(value).find(([key]) => key === String(step))?.[1];
  }
  return value;
}

function show(value: unknown): string {
  const text =
    typeof value === "function" ? "a function" : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function lastOf(field: string): string {
  return field.split(".").at(-1) ?? field;
}

function knownFields(path: readonly PropertyKey[], declaration: unknown): string[] {
  let schema: unknown = z.toJSONSchema(fleetDeclarationSchema, {
    io: "input",
    unrepresentable: "any",
  });
  for (const step of path) {
    schema =
      valueAt(schema, ["properties", step]) ??
      valueAt(schema, ["prefixItems", step]) ??
      valueAt(schema, ["items"]);
  }
  const kind = valueAt(declaration, [...path, "kind"]);
  const properties = valueAt(schema, ["properties"]) ?? propertiesOfKind(schema, kind);
  return typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
}

/** Of a union that its `kind` tells apart. */
function propertiesOfKind(schema: unknown, kind: unknown): unknown {
  const branches = valueAt(schema, ["oneOf"]) ?? valueAt(schema, ["anyOf"]);
  if (!Array.isArray(branches)) return undefined;
  const branch: unknown = branches.find(
    (one) => valueAt(one, ["properties", "kind", "const"]) === kind,
  );
  return valueAt(branch, ["properties"]);
}
