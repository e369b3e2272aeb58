/** The part of JSONPath that batch transform's filters are made of: names, indexes, ranges, lists of them. */
import { isList, isMembers } from "./json.js";

/** `index` of a list counts from its end when negative; a range has no `to` when it goes to the end. */
type Selector =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "range"; readonly from: number; readonly to: number | undefined };

export interface JsonPath {
  readonly text: string;
  /** Steps from the root; only the last may select several values. */
  readonly steps: readonly (readonly Selector[])[];
}

/** A filter that is not to be had here, or a record in which it finds nothing; the message says which. */
export class JsonPathError extends Error {
  override readonly name = "JsonPathError";
}

const supported =
  "The local SageMaker server knows $, $.name, $['name','other'], $[3], $[-1], $[1:], $[0,5:] and chains of them.";

/** Throws JsonPathError for what AWS may know, but this server does not: `..`, `*`, conditions. */
export function parseJsonPath(text: string): JsonPath {
  const unknown = () => new JsonPathError(`cannot read the JSONPath ${text}. ${supported}`);
  if (!text.startsWith("$")) throw unknown();
  const steps: Selector[][] = [];
  const step = /\.([A-Za-z_][A-Za-z0-9_-]*)|\[([^\]]*)\]/y;
  step.lastIndex = 1;
  while (step.lastIndex < text.length) {
    const match = step.exec(text);
    if (match === null) throw unknown();
    const [, name, list] = match;
    const selectors =
      name === undefined
        ? splitList(list ?? "").map(parseSelector)
        : [{ kind: "name", name } as const];
    const known = selectors.filter((selector) => selector !== undefined);
    if (known.length === 0 || known.length < selectors.length) throw unknown();
    steps.push(known);
  }
  if (steps.slice(0, -1).some(isPlural)) throw unknown();
  return { text, steps };
}

/** Items between commas that are not within quotes. */
const splitList = (list: string): string[] =>
  list.match(/\s*(?:'[^']*'|"[^"]*"|[^,'"]+)\s*(?=,|$)/g)?.map((item) => item.trim()) ?? [];

function parseSelector(item: string): Selector | undefined {
  const quoted = /^(?:'([^']*)'|"([^"]*)")$/.exec(item);
  if (quoted !== null) return { kind: "name", name: quoted[1] ?? quoted[2] ?? "" };
  if (/^-?\d+$/.test(item)) return { kind: "index", index: Number(item) };
  const range = /^(-?\d+)?:(-?\d+)?$/.exec(item);
  if (range === null) return undefined;
  const [, from, to] = range;
  return { kind: "range", from: Number(from ?? 0), to: to === undefined ? undefined : Number(to) };
}

/** Does the step make a list (or an object of several names) of what it selects? */
const isPlural = (selectors: readonly Selector[]): boolean =>
  selectors.length > 1 || selectors.some(({ kind }) => kind === "range");

/** Throws JsonPathError when the record does not have what the path names; a range may be empty. */
export function select(path: JsonPath, record: unknown): unknown {
  return path.steps.reduce<unknown>(
    (value, selectors) => selectStep(path, selectors, value),
    record,
  );
}

function selectStep(path: JsonPath, selectors: readonly Selector[], value: unknown): unknown {
  const missing = () => new JsonPathError(`a record does not have what ${path.text} selects`);
  if (isMembers(value)) {
    const found = selectors.map((selector) => {
      if (selector.kind !== "name" || !Object.hasOwn(value, selector.name)) throw missing();
      return [selector.name, value[selector.name]] as const;
    });
    return isPlural(selectors) ? Object.fromEntries(found) : found[0]?.[1];
  }
  if (!isList(value)) throw missing();
  const found = selectors.flatMap((selector) => {
    if (selector.kind === "range") return value.slice(selector.from, selector.to);
    const index = selector.kind === "index" ? selector.index : value.length;
    if (index >= value.length || index < -value.length) throw missing();
    return [value.at(index)];
  });
  return isPlural(selectors) ? found : found[0];
}
