/** A condition on a model's figures, such as `improvement >= 2% and rmse < 40`. Text in, a function out; never code. */
import { SpecError } from "./errors.js";
import { LIMITS } from "./limits.js";

export type Figure = number | string | null;
export type FigureKind = "number" | "text";
/** Null: unknown, since a figure is missing. As in SQL, what is unknown is not selected, and neither is its opposite. */
type Truth = boolean | null;
type Read<T> = (row: Readonly<Record<string, Figure>>) => T;

/** What is wrong, and where; `field` when it is a name that no model has. */
export class WhereError extends SpecError {
  readonly field: string | undefined;
  constructor(message: string, field?: string) {
    super(message, "such as improvement >= 2% and rmse < 40");
    this.name = "WhereError";
    this.field = field;
  }
}

const TOKEN =
  /\s*(?:(?<sign>>=|<=|==|!=|[=<>()])|(?<number>-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?%?)|'(?<text>[^']*)'|"(?<quoted>[^"]*)"|(?<word>[a-z_]\w*)|(?<end>$)|(?<other>\S+))/giy;
type Token = Readonly<Record<string, string | undefined>>;

/** `or` binds weakest, then `and`, then `not`; a comparison has a field, a number or 'text' on each side. */
export function parseWhere(text: string, fields: ReadonlyMap<string, FigureKind>): Read<boolean> {
  if (text.length > LIMITS.whereLength)
    throw new WhereError(`the condition is longer than ${LIMITS.whereLength} characters`);
  const tokens = [...text.trim().matchAll(TOKEN)].map((match): Token => match.groups ?? {});
  let at = 0;
  const next = (): Token => tokens[at] ?? { end: "" };
  const takes = (word: string): boolean => {
    const found = next().word?.toLowerCase() === word || next().sign === word;
    if (found) at += 1;
    return found;
  };
  const shown = (): string => Object.values(next()).find((part) => part) ?? "its end";
  const fail = (wanted: string): never => {
    throw new WhereError(`where the condition has ${shown()}, ${wanted} is expected: ${text}`);
  };
  const chain = (word: string, decisive: boolean, part: () => Read<Truth>): Read<Truth> => {
    const parts = [part()];
    while (takes(word)) parts.push(part());
    return (row) => {
      const truths = parts.map((one) => one(row));
      return truths.includes(decisive) ? decisive : truths.includes(null) ? null : !decisive;
    };
  };
  const either = (): Read<Truth> => chain("or", true, both);
  const both = (): Read<Truth> => chain("and", false, single);
  const single = (): Read<Truth> => {
    if (takes("not")) {
      const inner = single();
      return (row) => negated(inner(row));
    }
    if (!takes("(")) return comparison();
    const inner = either();
    return takes(")") ? inner : fail("a closing parenthesis");
  };
  const comparison = (): Read<Truth> => {
    const left = operand();
    const compare = COMPARISONS[next().sign ?? ""] ?? fail("one of = != < <= > >=");
    at += 1;
    const right = operand();
    if (left.kind !== right.kind)
      throw new WhereError(`a number is compared with text: ${text} (text stands in quotes)`);
    return (row) => compared(left.read(row), right.read(row), compare);
  };
  const operand = (): { kind: FigureKind; read: Read<Figure> } => {
    const { number, word, text: plain, quoted } = next();
    const literal = plain ?? quoted;
    if (number === undefined && word === undefined && literal === undefined)
      fail("a field, a number or 'text'");
    at += 1;
    if (literal !== undefined) return { kind: "text", read: () => literal };
    if (word === undefined) return { kind: "number", read: () => numberOf(number ?? "") };
    const kind = fields.get(word);
    if (kind === undefined) throw new WhereError(`no model has a figure "${word}"`, word);
    return { kind, read: (row) => row[word] ?? null };
  };
  const condition = either();
  if (next().end === undefined) fail("and, or, or the end");
  return (row) => condition(row) === true;
}

const COMPARISONS: Readonly<Record<string, (order: number) => boolean>> = {
  "=": (order) => order === 0,
  "==": (order) => order === 0,
  "!=": (order) => order !== 0,
  "<": (order) => order < 0,
  "<=": (order) => order <= 0,
  ">": (order) => order > 0,
  ">=": (order) => order >= 0,
};

function compared(left: Figure, right: Figure, holds: (order: number) => boolean): Truth {
  if (left === null || right === null) return null;
  return holds(left < right ? -1 : left > right ? 1 : 0);
}

const negated = (truth: Truth): Truth => (truth === null ? null : !truth);

/** `2%` is 0.02. */
const numberOf = (text: string): number =>
  text.endsWith("%") ? Number(text.slice(0, -1)) / 100 : Number(text);
