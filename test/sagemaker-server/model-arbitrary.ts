/** Requests made out of the service model: valid ones, and valid ones with a single thing broken. */
import fc from "fast-check";
import type { Arbitrary } from "fast-check";
import { shapeOf } from "../../local/sagemaker/model.js";
import type { ServiceModel, Shape } from "../../local/sagemaker/model.js";
import { compile } from "../../local/sagemaker/patterns.js";
import type { Members } from "../../local/sagemaker/json.js";

/** Recursive shapes and 1,600 members: deeper than this only what is required is filled in. */
const maxDepth = 3;

export function validRequest(model: ServiceModel, shapeName: string): Arbitrary<Members> {
  return structureOf(model, shapeOf(model, shapeName), 0);
}

function valueOf(model: ServiceModel, shape: Shape, depth: number): Arbitrary<unknown> {
  const { min = 0, max } = shape;
  switch (shape.type) {
    case "structure":
      return structureOf(model, shape, depth);
    case "list": {
      const element = valueOf(model, shapeOf(model, shape.member?.shape ?? ""), depth + 1);
      return fc.array(element, { minLength: min, maxLength: Math.min(max ?? min + 2, min + 2) });
    }
    case "map": {
      const key = valueOf(model, shapeOf(model, shape.key?.shape ?? ""), depth);
      const value = valueOf(model, shapeOf(model, shape.value?.shape ?? ""), depth + 1);
      const keys = key.filter((each): each is string => typeof each === "string");
      return fc.dictionary(keys, value, { minKeys: min, maxKeys: min + 2 });
    }
    case "string":
      return stringOf(shape);
    case "boolean":
      return fc.boolean();
    case "integer":
    case "long":
      return fc.integer({ min, max: max ?? 2 ** 31 - 1 });
    case "timestamp":
      return fc.integer({ min: 0, max: 2 ** 31 });
    default:
      return fc.double({ min, max: max ?? 1e6, noNaN: true });
  }
}

function structureOf(model: ServiceModel, shape: Shape, depth: number): Arbitrary<Members> {
  const required = new Set(shape.required ?? []);
  const members = Object.entries(shape.members ?? {});
  const oneOf = (name: string, reference: { shape: string }) =>
    valueOf(model, shapeOf(model, reference.shape), depth + 1).map((value) => ({ [name]: value }));
  if (shape.union === true)
    return fc.oneof(...members.map(([name, reference]) => oneOf(name, reference)));
  const kept = members.filter(([name]) => required.has(name) || depth < maxDepth);
  const fields = kept.map(([name, reference]) => {
    const field = fc.constant(undefined).chain(() => oneOf(name, reference));
    return required.has(name) ? field : fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, field);
  });
  return fc
    .tuple(...fields)
    .map((all) => Object.fromEntries(all.flatMap((field) => Object.entries(field))));
}

function stringOf(shape: Shape): Arbitrary<string> {
  if (shape.enum !== undefined) return fc.constantFrom(...shape.enum);
  const { min = 0, max = 60 } = shape;
  const pattern = shape.pattern === undefined ? undefined : compile(shape.pattern);
  const fits = (text: string) =>
    text.length >= min && text.length <= max && (pattern?.test(text) ?? true);
  if (pattern === undefined || shape.pattern === ".*") {
    const maxLength = Math.min(max, Math.max(min, 40));
    return fc.string({ minLength: min, maxLength, unit: "grapheme-ascii" });
  }
  return fc.stringMatching(samplable(pattern), { size: "small" }).filter(fits);
}

/** fast-check samples no Unicode classes and no look-around: a part of what the pattern allows will do. */
function samplable(pattern: RegExp): RegExp {
  const source = pattern.source
    .replace(/\[(\\p\{\w+\})+\]/g, "[a-z]")
    .replace(/\\p\{\w+\}/g, "a-z")
    .replaceAll("\\p{ASCII}", "[ -~]")
    .replace(/\(\?<?[!=][^)]*\)/g, "");
  return new RegExp(source.replaceAll("[a-zA-Z0-9-]", "[a-zA-Z0-9]"));
}

export interface Broken {
  readonly request: unknown;
  readonly code: "ValidationException" | "SerializationException";
}

/** A valid request in which one value, anywhere, is what its shape forbids. */
export function invalidRequest(model: ServiceModel, shapeName: string): Arbitrary<Broken> {
  const shape = shapeOf(model, shapeName);
  return validRequest(model, shapeName)
    .map((request) => ({ request, breaks: breaksOf(model, shape, request) }))
    .filter(({ breaks }) => breaks.length > 0)
    .chain(({ request, breaks }) =>
      fc.constantFrom(...breaks).map(({ path, value, code }) => ({
        request: replaced(request, path, value),
        code,
      })),
    );
}

type Path = readonly (string | number)[];

interface Break {
  readonly path: Path;
  /** Undefined takes the member away. */
  readonly value: unknown;
  readonly code: Broken["code"];
}

function breaksOf(model: ServiceModel, shape: Shape, value: unknown, path: Path = []): Break[] {
  const invalid = (broken: unknown, at: Path = path): Break => ({
    path: at,
    value: broken,
    code: "ValidationException",
  });
  const mistyped = (broken: unknown): Break => ({
    path,
    value: broken,
    code: "SerializationException",
  });
  const { min, max } = shape;
  switch (shape.type) {
    case "structure": {
      const members = Object.entries(value as Members);
      const inner = members.flatMap(([name, member]) =>
        breaksOf(model, memberShape(model, shape, name), member, [...path, name]),
      );
      const missing = (shape.required ?? []).map((name) => invalid(undefined, [...path, name]));
      return [...inner, ...missing, ...(path.length > 0 ? [mistyped("text"), mistyped([])] : [])];
    }
    case "list": {
      const element = shapeOf(model, shape.member?.shape ?? "");
      const elements = value as unknown[];
      const inner = elements.flatMap((each, index) =>
        breaksOf(model, element, each, [...path, index]),
      );
      const long = max !== undefined && elements.length > 0 && max < 200;
      return [
        ...inner,
        mistyped({}),
        ...(min !== undefined && min > 0 ? [invalid([])] : []),
        ...(long ? [invalid(Array.from({ length: max + 1 }, () => elements[0]))] : []),
      ];
    }
    case "map":
      return [mistyped("text"), mistyped([1])];
    case "string":
      return [mistyped(7), mistyped({}), ...brokenStrings(shape).map((text) => invalid(text))];
    case "boolean":
      return [mistyped("true"), mistyped(1)];
    case "timestamp":
      return [mistyped("2024-01-01T00:00:00Z")];
    default:
      return [
        mistyped("1"),
        mistyped(true),
        ...(shape.type === "integer" || shape.type === "long" ? [mistyped(1.5)] : []),
        ...(min !== undefined ? [invalid(min - 1)] : []),
        ...(max !== undefined && max < 2 ** 31 - 1 ? [invalid(max + 1)] : []),
      ];
  }
}

function brokenStrings({ min = 0, max, pattern, enum: values }: Shape): string[] {
  if (values !== undefined)
    return ["no such value", values[0]?.toLowerCase() ?? ""].filter(
      (each) => !values.includes(each),
    );
  const compiled = pattern === undefined ? undefined : compile(pattern);
  const strange = ["", " ", "a b\nc", "-", "_", "\u0007"];
  return [
    ...(min > 0 ? [""] : []),
    ...(max !== undefined && max < 5000 ? ["a".repeat(max + 1)] : []),
    ...strange.filter((each) => compiled !== undefined && !compiled.test(each)),
  ];
}

function memberShape(model: ServiceModel, shape: Shape, name: string): Shape {
  return shapeOf(model, shape.members?.[name]?.shape ?? "");
}

function replaced(within: unknown, [step, ...rest]: Path, value: unknown): unknown {
  if (step === undefined) return value;
  if (Array.isArray(within))
    return within.map((each: unknown, index) =>
      index === step ? replaced(each, rest, value) : each,
    );
  const members = within as Members;
  return { ...members, [step]: replaced(members[step], rest, value) };
}
