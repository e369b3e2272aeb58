/** Checks a request against the service's own model: types, required members, enums, ranges, patterns. */
import { AwsError, validationError } from "./errors.js";
import { isList, isMembers } from "./json.js";
import type { Members } from "./json.js";
import { shapeOf } from "./model.js";
import type { ServiceModel, Shape } from "./model.js";
import { matchesPattern } from "./patterns.js";

/**
 * Returns the request without nulls and without members that the model does not know, as AWS reads it.
 * Throws SerializationException for a value of the wrong JSON type, and one ValidationException that
 * lists every constraint that is not satisfied.
 */
export function validate(model: ServiceModel, shapeName: string, request: unknown): Members {
  const violations: Violation[] = [];
  const checked = check({ model, violations }, shapeOf(model, shapeName), request, "");
  if (violations.length > 0) throw validationError(describe(violations));
  return isMembers(checked) ? checked : {};
}

interface Violation {
  readonly path: string;
  readonly value: unknown;
  readonly constraint: string;
}

interface Check {
  readonly model: ServiceModel;
  readonly violations: Violation[];
}

function check(run: Check, shape: Shape, value: unknown, path: string): unknown {
  switch (shape.type) {
    case "structure":
      return checkStructure(run, shape, value, path);
    case "list":
      return checkList(run, shape, value, path);
    case "map":
      return checkMap(run, shape, value, path);
    default:
      return checkScalar(run, shape, value, path);
  }
}

function checkStructure(run: Check, shape: Shape, value: unknown, path: string): Members {
  if (!isMembers(value)) throw notConvertible(value, "structure or map");
  const present = Object.entries(shape.members ?? {}).filter(([name]) => isPresent(value, name));
  for (const name of shape.required ?? []) {
    if (isPresent(value, name)) continue;
    run.violations.push({
      path: join(path, name),
      value: null,
      constraint: "Member must not be null",
    });
  }
  if (shape.union === true && present.length !== 1) {
    const constraint = `Exactly one member must be set: [${Object.keys(shape.members ?? {}).join(", ")}]`;
    run.violations.push({ path, value, constraint });
  }
  return Object.fromEntries(
    present.map(([name, member]) => [
      name,
      check(run, shapeOf(run.model, member.shape), value[name], join(path, name)),
    ]),
  );
}

function checkList(run: Check, shape: Shape, value: unknown, path: string): unknown[] {
  if (!isList(value)) throw notConvertible(value, "list");
  checkLength(run, shape, value.length, value, path);
  const member = shapeOf(run.model, shape.member?.shape ?? "");
  if (!isScalar(member)) {
    return value.map((element, index) =>
      check(run, member, element ?? {}, `${path}.${index + 1}.member`),
    );
  }
  return checkTogether(run, member, value, {
    path,
    value,
    label: "Member must satisfy constraint",
  });
}

function checkMap(run: Check, shape: Shape, value: unknown, path: string): Members {
  if (!isMembers(value)) throw notConvertible(value, "structure or map");
  const entries = Object.entries(value).filter(([, element]) => element !== null);
  checkLength(run, shape, entries.length, value, path);
  const key = shapeOf(run.model, shape.key?.shape ?? "");
  const element = shapeOf(run.model, shape.value?.shape ?? "");
  const names = entries.map(([name]) => name);
  checkTogether(run, key, names, { path, value, label: "Map keys must satisfy constraint" });
  if (isScalar(element)) {
    const values = entries.map(([, each]) => each);
    checkTogether(run, element, values, {
      path,
      value,
      label: "Map value must satisfy constraint",
    });
    return Object.fromEntries(entries);
  }
  return Object.fromEntries(
    entries.map(([name, each]) => [name, check(run, element, each, `${path}.${name}.member`)]),
  );
}

/** AWS reports the members of a list (or the keys of a map) as one violation of their container. */
function checkTogether(
  run: Check,
  shape: Shape,
  elements: readonly unknown[],
  container: { path: string; value: unknown; label: string },
): unknown[] {
  const own: Violation[] = [];
  const checked = elements.map((element) =>
    element === null ? element : checkScalar({ ...run, violations: own }, shape, element, ""),
  );
  const constraints = new Set(own.map((violation) => violation.constraint));
  if (elements.includes(null)) constraints.add("Member must not be null");
  if (constraints.size > 0) {
    const constraint = `${container.label}: [${[...constraints].join(", ")}]`;
    run.violations.push({ path: container.path, value: container.value, constraint });
  }
  return checked;
}

function checkScalar(run: Check, shape: Shape, value: unknown, path: string): unknown {
  const refuse = (constraint: string) => run.violations.push({ path, value, constraint });
  switch (shape.type) {
    case "string":
    case "character":
      if (typeof value !== "string") throw notConvertible(value, "String");
      if (unstorable.test(value))
        throw new AwsError("SerializationException", "a string holds NUL or half a character");
      checkLength(run, shape, value.length, value, path);
      if (shape.enum !== undefined && !shape.enum.includes(value))
        refuse(`Member must satisfy enum value set: [${shape.enum.join(", ")}]`);
      if (shape.pattern !== undefined && !matchesPattern(shape.pattern, value))
        refuse(`Member must satisfy regular expression pattern: ${shape.pattern}`);
      return value;
    case "boolean":
      if (typeof value !== "boolean") throw notConvertible(value, "Boolean");
      return value;
    case "integer":
    case "long":
      if (!Number.isSafeInteger(value) || (shape.type === "integer" && !isInt32(value)))
        throw notConvertible(value, shape.type === "integer" ? "Integer" : "Long");
      checkRange(shape, value, refuse);
      return value;
    case "float":
    case "double":
      if (typeof value !== "number") throw notConvertible(value, "Double");
      checkRange(shape, value, refuse);
      return value;
    case "timestamp":
      if (typeof value !== "number") throw notConvertible(value, "Timestamp");
      return value;
    default:
      return value; // A blob arrives outside of the JSON.
  }
}

function checkLength(run: Check, shape: Shape, length: number, value: unknown, path: string): void {
  const refuse = (constraint: string) => run.violations.push({ path, value, constraint });
  if (shape.max !== undefined && length > shape.max)
    refuse(`Member must have length less than or equal to ${shape.max}`);
  if (shape.min !== undefined && length < shape.min)
    refuse(`Member must have length greater than or equal to ${shape.min}`);
}

function checkRange(shape: Shape, value: unknown, refuse: (constraint: string) => void): void {
  const number = Number(value);
  if (shape.max !== undefined && number > shape.max)
    refuse(`Member must have value less than or equal to ${shape.max}`);
  if (shape.min !== undefined && number < shape.min)
    refuse(`Member must have value greater than or equal to ${shape.min}`);
}

function describe(violations: readonly Violation[]): string {
  const count =
    violations.length === 1
      ? "1 validation error detected"
      : `${violations.length} validation errors detected`;
  const each = violations.map(
    ({ path, value, constraint }) =>
      `Value ${quoted(value)} at '${path}' failed to satisfy constraint: ${constraint}`,
  );
  return `${count}: ${each.join("; ")}`;
}

/** Values as Java prints them: 'text', '[a, b]', '{k=v}', and null without quotes. */
function quoted(value: unknown): string {
  return value === null ? "null" : `'${printed(value)}'`;
}

function printed(value: unknown): string {
  if (isList(value)) return `[${value.map(printed).join(", ")}]`;
  if (isMembers(value)) {
    const members = Object.entries(value).map(([name, each]) => `${name}=${printed(each)}`);
    return `{${members.join(", ")}}`;
  }
  return String(value);
}

function notConvertible(value: unknown, wanted: string): AwsError {
  const found = isList(value)
    ? "START_ARRAY"
    : `${(value === null ? "null" : typeof value).toUpperCase()}_VALUE`;
  return new AwsError("SerializationException", `${found} can not be converted to a ${wanted}`);
}

function join(path: string, member: string): string {
  const camel = member.charAt(0).toLowerCase() + member.slice(1);
  return path === "" ? camel : `${path}.${camel}`;
}

/** What UTF-8 text in a database cannot hold. */
const unstorable = /[\0\p{Cs}]/u;

const isScalar = (shape: Shape) => !["structure", "list", "map"].includes(shape.type);

const isInt32 = (value: unknown) => typeof value === "number" && value === (value | 0);

const isPresent = (members: Members, name: string) =>
  Object.hasOwn(members, name) && members[name] !== null && members[name] !== undefined;
