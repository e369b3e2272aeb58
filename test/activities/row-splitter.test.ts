import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fieldValue, RowSplitter, splitOf } from "../../activities/export/row-splitter.js";
import type { Channel } from "../../fleet/names.js";

const SHARES = { validation: 0.3, test: 0.1 };

interface Received {
  readonly customers: { customer: string; rows: Record<Channel, string[]> }[];
  invalid: number;
  nobody: number;
}

/** What a sink gets of the text, cut into chunks at the given places. */
function split(text: string, cuts: readonly number[] = []): Received {
  const received: Received = { customers: [], invalid: 0, nobody: 0 };
  const splitter = new RowSplitter({
    shares: SHARES,
    sink: {
      customer: (raw) =>
        received.customers.push({
          customer: fieldValue(raw),
          rows: { train: [], validation: [], test: [] },
        }),
      row: (channel, chunk, start, end) =>
        received.customers.at(-1)?.rows[channel].push(chunk.toString("utf8", start, end)),
      invalidRow: () => received.invalid++,
      rowWithoutCustomer: () => received.nobody++,
    },
  });
  const bytes = Buffer.from(text);
  const places = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b)];
  places.forEach((from, index) => splitter.push(bytes.subarray(from, places[index + 1])));
  splitter.end();
  return received;
}

const OLDEST = "-9223372036854775808";
const NEWEST = "9223372036854775807";
const quote = (field: string) => `"${field.replaceAll('"', '""')}"`;

describe("cutting the warehouse's stream", () => {
  test("reads the split off the place, and keeps the rest of the line as it is", () => {
    const { customers } = split(`${OLDEST},a,1.5,x\n3000000000000000000,a,2,y\n${NEWEST},a,-3,z\n`);
    expect(customers).toEqual([
      { customer: "a", rows: { train: ["1.5,x\n"], validation: ["2,y\n"], test: ["-3,z\n"] } },
    ]);
  });

  test.each(["", "NaN", "Infinity", "-Infinity"])("counts a target of %j as invalid", (target) => {
    const { customers, invalid } = split(`${OLDEST},a,${target},x\n${OLDEST},a,1,x\n`);
    expect(invalid).toBe(1);
    expect(customers[0]?.rows.train).toEqual(["1,x\n"]);
  });

  test("counts a NULL customer, and takes an empty one for a customer", () => {
    const { customers, nobody } = split(`${OLDEST},"",1,x\n${OLDEST},,1,x\n`);
    expect(nobody).toBe(1);
    expect(customers.map(({ customer }) => customer)).toEqual([""]);
  });

  test("does not take a newline within quotes for a row's end", () => {
    const { customers } = split(`${OLDEST},"a\n,""b",1,"x\ny, ""z"""\n${OLDEST},c,2,w\n`);
    expect(customers).toEqual([
      { customer: 'a\n,"b', rows: { train: ['1,"x\ny, ""z"""\n'], validation: [], test: [] } },
      { customer: "c", rows: { train: ["2,w\n"], validation: [], test: [] } },
    ]);
  });

  test("gives the same rows wherever the chunks are cut", () => {
    const field = fc.string({ unit: fc.constantFrom("a", "é", "🚀", '"', ",", "\n", "\\", " ") });
    const row = fc.record({ customer: field, feature: field, target: fc.integer() });
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 30 }),
        fc.array(fc.nat(), { maxLength: 20 }),
        (rows, cuts) => {
          const text = rows
            .map((one) => `${OLDEST},${quote(one.customer)},${one.target},${quote(one.feature)}\n`)
            .join("");
          const whole = split(text);
          expect(split(text, cuts)).toEqual(whole);
          expect(whole.customers.flatMap(({ rows: { train } }) => train)).toEqual(
            rows.map((one) => `${one.target},${quote(one.feature)}\n`),
          );
        },
      ),
    );
  });

  test("a stream that ends within a row is an error", () => {
    expect(() => split(`${OLDEST},a,1,x`)).toThrow(/ended within a row/);
  });
});

test("the shares of all places are those that the spec asks for", () => {
  const channelOf = splitOf(SHARES);
  const counts = { train: 0, validation: 0, test: 0 };
  for (let place = 0; place < 1000; place++)
    counts[channelOf(((place + 0.5) / 1000 - 0.5) * 2 ** 64)]++;
  expect(counts).toEqual({ train: 600, validation: 300, test: 100 });
});
