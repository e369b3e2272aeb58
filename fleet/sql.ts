/** Binds a window into the fleet's SQL: one statement, whose `:floor` and `:ceiling` become literals. */
import { SpecError } from "./errors.js";
import { parseTime, type Window } from "./window.js";

const PARAMETERS = ["floor", "ceiling"] as const;
type Parameter = (typeof PARAMETERS)[number];

/**
 * Returns the statement with `timestamptz '…'` literals, without its closing semicolon, and safe to stand in
 * parentheses. Parameters inside strings, quoted identifiers, dollar quotes and comments are text, and `::`
 * is a cast. Throws SpecError when a parameter is missing, or when there is not exactly one statement.
 * Lexical rules: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 */
export function bindWindow(sql: string, window: Window): string {
  const literals: Readonly<Record<Parameter, string>> = {
    floor: literal(window.floor),
    ceiling: literal(window.ceiling),
  };
  const found = new Set<Parameter>();
  let bound = "";
  // Up to the last word: a comment behind it would swallow the parenthesis that the export closes.
  let end = 0;
  let depth = 0;
  for (const token of statementTokens(sql)) {
    if (token.kind === "parameter") found.add(token.name);
    else if (token.kind === "bracket") depth += token.text === "(" ? 1 : -1;
    if (depth < 0) throw unbalanced("closes a parenthesis that it did not open");
    bound += token.kind === "parameter" ? literals[token.name] : token.text;
    if (token.kind !== "comment" && token.kind !== "space") end = bound.length;
  }
  if (depth > 0) throw unbalanced("leaves a parenthesis open");
  for (const name of PARAMETERS) if (!found.has(name)) throw missing(name);
  return bound.slice(0, end).trim();
}

type Token =
  | { readonly kind: "text" | "comment" | "space" | "bracket" | "semicolon"; readonly text: string }
  | { readonly kind: "parameter"; readonly text: string; readonly name: Parameter };

/** The tokens of the only statement: semicolons may only close it. */
function* statementTokens(sql: string): Generator<Token> {
  let closed = false;
  let empty = true;
  for (const token of tokens(sql)) {
    const says = token.kind !== "space" && token.kind !== "comment" && token.kind !== "semicolon";
    if (says && closed) throw severalStatements();
    if (says) empty = false;
    closed ||= token.kind === "semicolon" && !empty;
    if (!closed && token.kind !== "semicolon") yield token;
  }
  if (empty)
    throw new SpecError("the query is empty", "write one SELECT that uses :floor and :ceiling");
}

/** Alternatives in the order they are tried at a position; sticky, so that nothing is skipped. */
const WORD = /[\p{L}_\u{80}-\u{10ffff}][\p{L}\p{N}_$\u{80}-\u{10ffff}]*/uy;
const ESCAPE_STRING = /[eE]'(?:[^'\\]|\\[\s\S]|'')*'/uy;
const STRING = /'(?:[^']|'')*'/uy;
const QUOTED_IDENTIFIER = /"(?:[^"]|"")*"/uy;
const DOLLAR_TAG = /\$(?:[\p{L}_\u{80}-\u{10ffff}][\p{L}\p{N}_\u{80}-\u{10ffff}]*)?\$/uy;
const LINE_COMMENT = /--[^\n\r]*/uy;
const PARAMETER = /:(floor|ceiling)(?![\p{L}\p{N}_$\u{80}-\u{10ffff}])/uy;
const NUMBER = /\d[\p{N}\p{L}_.]*/uy;
const SPACE = /\s+/uy;

function* tokens(sql: string): Generator<Token> {
  if (sql.includes("\0")) throw new SpecError("the query holds a NUL character", "remove it");
  for (let at = 0; at < sql.length;) {
    const token = tokenAt(sql, at);
    yield token;
    at += token.text.length;
  }
}

function tokenAt(sql: string, at: number): Token {
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(sql)?.[0];
  };
  const text = (found: string): Token => ({ kind: "text", text: found });
  const two = sql.slice(at, at + 2);
  const one = sql.slice(at, at + 1);

  if (two === "--") return { kind: "comment", text: match(LINE_COMMENT) ?? two };
  if (two === "/*") return { kind: "comment", text: blockComment(sql, at) };
  if (one === "'") return text(match(STRING) ?? unterminated("string", sql, at));
  if (/^[eE]'$/.test(two)) return text(match(ESCAPE_STRING) ?? unterminated("string", sql, at));
  if (one === '"') return text(match(QUOTED_IDENTIFIER) ?? unterminated("identifier", sql, at));
  const tag = match(DOLLAR_TAG);
  if (tag !== undefined) return text(dollarQuote(sql, at, tag));
  if (two === "::") return text(two);
  const parameter = match(PARAMETER)?.slice(1);
  if (parameter === "floor" || parameter === "ceiling")
    return { kind: "parameter", text: `:${parameter}`, name: parameter };
  if (one === "(" || one === ")") return { kind: "bracket", text: one };
  if (one === ";") return { kind: "semicolon", text: one };
  const space = match(SPACE);
  if (space !== undefined) return { kind: "space", text: space };
  return text(match(WORD) ?? match(NUMBER) ?? one);
}

/** Block comments nest in Postgres. */
function blockComment(sql: string, start: number): string {
  let depth = 0;
  for (let at = start; at < sql.length; at++) {
    const two = sql.slice(at, at + 2);
    if (two === "/*") depth++;
    else if (two === "*/") depth--;
    else continue;
    at++;
    if (depth === 0) return sql.slice(start, at + 1);
  }
  return unterminated("comment", sql, start);
}

function dollarQuote(sql: string, start: number, tag: string): string {
  const end = sql.indexOf(tag, start + tag.length);
  return end < 0 ? unterminated("dollar quote", sql, start) : sql.slice(start, end + tag.length);
}

function literal(time: string): string {
  // Parsed and printed again: whatever the caller passed, only digits and separators reach the SQL.
  return `timestamptz '${parseTime(time).toISOString()}'`;
}

function unterminated(what: string, sql: string, at: number): never {
  const line = sql.slice(0, at).split("\n").length;
  throw new SpecError(`the query has a ${what} on line ${line} that does not end`, "close it");
}

const missing = (name: Parameter): SpecError =>
  new SpecError(
    `the query does not use :${name}`,
    "bound it by the cycle's window, for example: where t >= :floor and t < :ceiling",
  );

const severalStatements = (): SpecError =>
  new SpecError(
    "the query holds more than one statement",
    "write a single SELECT; use WITH for intermediate steps",
  );

const unbalanced = (how: string): SpecError =>
  new SpecError(`the query ${how}`, "balance the parentheses: the query must stand by itself");
