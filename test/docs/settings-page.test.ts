/** docs/reference/settings.md has the settings that the code reads: no more, and no fewer. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const NAME = /\bMODELFLEET_[A-Z]+(?:_[A-Z]+)*\b/g;
/** Ways to give a secret, not settings of their own. */
const isReference = (name: string): boolean =>
  /_(FILE|SECRET)$/.test(name) && name !== "MODELFLEET_ENV_FILE";

function namesIn(text: string): string[] {
  return [...new Set([...text.matchAll(NAME)].map(([name]) => name))]
    .filter((name) => !isReference(name))
    .sort();
}

test("every setting has its row, and every row is a setting", () => {
  const code = ["worker", "client", "settings", "activities", "local/stack"]
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => join(folder, name)),
    )
    .filter((file) => file.endsWith(".ts"))
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
  const rows = readFileSync("docs/reference/settings.md", "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|")[1])
    .join("\n");
  expect(namesIn(rows)).toEqual(namesIn(code));
});
