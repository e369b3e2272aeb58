/** How batch transform cuts objects into requests, and what its filters select. */
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inOrder } from "../../local/sagemaker/in-order.js";
import { JsonPathError, parseJsonPath, select } from "../../local/sagemaker/json-path.js";
import { batchesOf } from "../../local/sagemaker/transform-batches.js";
import type { BatchRules } from "../../local/sagemaker/transform-batches.js";
import { recordFilters } from "../../local/sagemaker/transform-filters.js";

async function* chunksOf(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function cut(text: string, chunkBytes: number, rules: Partial<BatchRules>) {
  const all = { isSplit: true, strategy: "MultiRecord", maxBytes: 100, ...rules } as const;
  const batches: string[] = [];
  for await (const batch of batchesOf(chunksOf(text, chunkBytes), all))
    batches.push(batch.toString());
  return batches;
}

describe("an object is cut", () => {
  test("into requests of whole records, as many as fit, wherever the chunks end", async () => {
    const lines = fc.array(fc.stringMatching(/^[a-z,é]{0,8}$/), { maxLength: 40 });
    const sizes = fc.integer({ min: 1, max: 50 });
    await fc.assert(
      fc.asyncProperty(lines, sizes, fc.boolean(), async (records, chunkBytes, isEnded) => {
        const text = records.join("\n") + (isEnded ? "\n" : "");
        const batches = await cut(text, chunkBytes, { maxBytes: 20 });
        expect(batches.join("")).toBe(text);
        for (const [index, batch] of batches.entries()) {
          expect(Buffer.byteLength(batch)).toBeLessThanOrEqual(20);
          if (index < batches.length - 1) expect(batch.endsWith("\n")).toBe(true);
          const [next = ""] = batches[index + 1]?.split(/(?<=\n)/) ?? [];
          if (next !== "") expect(Buffer.byteLength(batch + next)).toBeGreaterThan(20);
        }
      }),
    );
  });

  test("into single records, also those that are longer than what is read at a time", async () => {
    const long = `${"x".repeat(200_000)}\n`;
    const text = `a\n${long}\nb`;
    const rules = { strategy: "SingleRecord", maxBytes: 1_000_000 } as const;
    expect(await cut(text, 65_536, rules)).toEqual(["a\n", long, "\n", "b"]);
  });

  test("not at all when it is not split", async () => {
    expect(await cut("a\nb\n", 3, { isSplit: false })).toEqual(["a\nb\n"]);
  });

  test.each([
    ["a record", { isSplit: true }],
    ["a record that is sent alone", { isSplit: true, strategy: "SingleRecord" as const }],
    ["an object that is not split", { isSplit: false }],
  ])("and refused for %s over the limit", async (_what, rules) => {
    await expect(cut(`${"x".repeat(101)}\n`, 7, rules)).rejects.toThrow("is over MaxPayloadInMB");
  });
});

describe("a filter", () => {
  const list = ["a", "b", "c", "d", "e", "f", "g"];
  test.each([
    ["$", list, list],
    ["$[0]", list, "a"],
    ["$[-1]", list, "g"],
    ["$[1:]", list, list.slice(1)],
    ["$[:-1]", list, list.slice(0, -1)],
    ["$[0,5:]", list, ["a", "f", "g"]],
    ["$[ -1 , 0 ]", list, ["g", "a"]],
    ["$.features", { features: [1, 2] }, [1, 2]],
    ["$.a.b[1]", { a: { b: [1, 2] } }, 2],
    [
      "$['id','SageMakerOutput']",
      { id: 1, x: 2, SageMakerOutput: 3 },
      { id: 1, SageMakerOutput: 3 },
    ],
    ['$["a, b"]', { "a, b": 1 }, 1],
  ])("%s selects what it names", (path, record, selected) => {
    expect(select(parseJsonPath(path), record)).toEqual(selected);
  });

  test.each([
    "",
    "features",
    "$..id",
    "$.*",
    "$[*]",
    "$[?(@.a)]",
    "$[]",
    "$[1:2:3]",
    "$[0,1].a",
    "$[a]",
  ])("%j is refused", (path) => expect(() => parseJsonPath(path)).toThrow(JsonPathError));

  test.each([
    ["$[7]", list],
    ["$[-8]", list],
    ["$.id", { other: 1 }],
    ["$.id", list],
    ["$[0]", { a: 1 }],
    ["$.a.b", { a: null }],
    ["$.toString", {}],
  ])("%s finds nothing in %j, and says so", (path, record) => {
    expect(() => select(parseJsonPath(path), record)).toThrow("does not have what");
  });
});

test("a JSON record that is no object is joined as a member beside its answer", () => {
  const format = { contentType: "application/json", isWhole: true, separator: "" } as const;
  const filters = recordFilters({ JoinSource: "Input", InputFilter: "$[1:]" }, format);
  const record = Buffer.from("[1,\n 2]");
  expect(filters?.toModel(record).toString()).toBe("[2]");
  expect(filters?.fromModel(record, Buffer.from('{"p": 3}')).toString()).toBe(
    '{"SageMakerInput":[1,2],"SageMakerOutput":{"p":3}}',
  );
});

test("results come in the order of the items, and no more are under way than asked", async () => {
  async function* items() {
    for (let index = 0; index < 20; index++) yield index;
  }
  let [now, most] = [0, 0];
  const work = async (index: number) => {
    most = Math.max(most, (now += 1));
    await pause((index * 7) % 5);
    now -= 1;
    return index;
  };
  const results: number[] = [];
  for await (const result of inOrder(items(), 3, work)) results.push(result);
  expect(results).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect(most).toBe(3);
});
