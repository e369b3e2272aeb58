/** docs/reference/errors.md has the types that the code has: no more, and no fewer. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { FAILURES } from "../../fleet/errors.js";

const page = readFileSync("docs/reference/errors.md", "utf8");

test("every type has its row, and every row is a type", () => {
  const rows = [...page.matchAll(/^\| `([A-Z]\w+)`/gm)].map((match) => match[1]);
  expect(rows.sort()).toEqual(Object.values(FAILURES).sort());
});

test("every type is one that something fails with", () => {
  const code = ["fleet", "activities", "workflows"]
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
    )
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
  const unused = Object.keys(FAILURES).filter((name) => !code.includes(`FAILURES.${name}`));
  expect(unused).toEqual([]);
});
