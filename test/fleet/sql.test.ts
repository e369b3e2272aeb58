/** Binding a window into SQL: parameters and nothing else, in one statement and nothing more. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SpecError } from "../../fleet/errors.js";
import { bindWindow } from "../../fleet/sql.js";

const WINDOW = { floor: "2013-01-01T00:00:00.000Z", ceiling: "2013-07-01T00:00:00.000Z" };
const FLOOR = "timestamptz '2013-01-01T00:00:00.000Z'";
const CEILING = "timestamptz '2013-07-01T00:00:00.000Z'";
const BOUNDS = "at >= :floor and at < :ceiling";
const BOUND = `at >= ${FLOOR} and at < ${CEILING}`;

const bind = (sql: string): string => bindWindow(sql, WINDOW);

test("both parameters become literals, as often as they stand there", () => {
  expect(bind(`select * from t where ${BOUNDS} or b = :floor`)).toBe(
    `select * from t where ${BOUND} or b = ${FLOOR}`,
  );
});

test.each([
  ["a string", "':floor'"],
  ["a string with a doubled quote", "'it''s :floor'"],
  ["a string with escapes", "E'it\\'s :floor'"],
  ["a quoted identifier", '"a "" :floor"'],
  ["a dollar quote", "$$ :floor $$"],
  ["a dollar quote with a tag", "$q$ :floor $$ ' $q$"],
  ["a line comment", "1 -- :floor ;\n"],
  ["a block comment", "1 /* :floor /* nested */ ; */"],
  ["a cast", "now()::floor"],
  ["a longer name", "a[:floors]"],
  ["an identifier with a dollar", "foo$x$ , ':floor'"],
  ["a string after an identifier that ends in e", "date':floor'"],
])("in %s the text stays as it is", (_where, text) => {
  expect(bind(`select ${text} from t where ${BOUNDS}`)).toBe(
    `select ${text} from t where ${BOUND}`,
  );
});

test("a cast of a parameter binds the parameter and keeps the cast", () => {
  expect(bind("select :floor::date, :ceiling::date")).toBe(
    `select ${FLOOR}::date, ${CEILING}::date`,
  );
});

describe("the result stands by itself in parentheses", () => {
  test.each([
    [`select 1 where ${BOUNDS};`],
    [`  select 1 where ${BOUNDS} ; -- done ; really`],
    [`select 1 where ${BOUNDS} -- no newline`],
    [`select 1 where ${BOUNDS} /* the end */ ;\n;\n`],
  ])("%j", (sql) => {
    expect(bind(sql)).toBe(`select 1 where ${BOUND}`);
  });
});

describe("refused, with a hint", () => {
  test.each([
    ["select 1 where at < :ceiling", "does not use :floor"],
    ["select 1 where at >= :floor", "does not use :ceiling"],
    ["select 1 where at >= ':floor' and at < :ceiling", "does not use :floor"],
    [`select 1 where ${BOUNDS}; drop table t`, "more than one statement"],
    [`select 1 where ${BOUNDS}; select 2;`, "more than one statement"],
    [`select 1) to stdout; copy (select 1 where ${BOUNDS}`, "closes a parenthesis"],
    [`select (1 where ${BOUNDS}`, "leaves a parenthesis open"],
    ["", "empty"],
    [" ; -- nothing", "empty"],
    [`select 'open where ${BOUNDS}`, "string on line 1"],
    [`select\n $a$ where ${BOUNDS}`, "dollar quote on line 2"],
    [`select /* /* */ where ${BOUNDS}`, "comment on line 1"],
    [`select "open where ${BOUNDS}`, "identifier on line 1"],
    [`select '\0' where ${BOUNDS}`, "NUL"],
  ])("%j", (sql, message) => {
    expect(() => bind(sql)).toThrow(message);
    expect(() => bind(sql)).toThrow(SpecError);
  });

  test("bounds that are no times, so that nothing else gets into the SQL", () => {
    const sql = `select 1 where ${BOUNDS}`;
    expect(() => bindWindow(sql, { ...WINDOW, floor: "2013-01-01'; drop table t; --" })).toThrow(
      SpecError,
    );
  });
});

test("whatever surrounds the parameters is kept, or the whole is refused", () => {
  const pieces = fc.constantFrom(
    ..."' '' \" $$ $a$ -- /* */ ( ) ; : :: :floor :ceiling E' \\' a 1 é 😀 \n".split(" "),
    " ",
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (noise) => {
      const sql = `select 1 where ${BOUNDS} ${noise.join("")}`;
      let bound: string;
      try {
        bound = bind(sql);
      } catch (error) {
        expect(error).toBeInstanceOf(SpecError);
        return;
      }
      expect(bound.startsWith(`select 1 where ${BOUND}`)).toBe(true);
      // Bound once, nothing is left to bind: whatever remains is text.
      const again = bind(`${bound} and ${BOUNDS}`);
      expect(again).toBe(`${bound} and ${BOUND}`);
    }),
    { numRuns: 500 },
  );
});
