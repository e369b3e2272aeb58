/** SageMaker's scikit-learn 1.2 and XGBoost 1.7 images came with Python 3.8: what is packed for them must run there. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCommand } from "../../local/stack/run-command.js";
import { pythonPath, temporaryFolder } from "../hosting/python.js";
import { exampleCode } from "./toolkit/example-code.js";

const folder = temporaryFolder();

async function newerThan38(files: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const given = join(folder, "files.json");
  writeFileSync(given, JSON.stringify(files));
  const script = join(import.meta.dirname, "check_python_38.py");
  const { code, lines } = await runCommand(pythonPath(), [script, given]);
  expect(code, lines.join("\n")).toBe(0);
  return lines;
}

test("every script of the examples is Python 3.8", async () => {
  const files: Record<string, string> = {};
  for (const { folder: source, files: packed } of await exampleCode())
    for (const [name, text] of Object.entries(packed))
      if (name.endsWith(".py")) files[`${source}/${name}`] = text;
  expect(Object.keys(files).length).toBeGreaterThan(20);
  expect(await newerThan38(files)).toEqual([]);
});

test("what is newer is found, with its place", async () => {
  const files = {
    "match.py": "x = 1\nmatch x:\n    case 1: pass\n",
    "generic.py": "from __future__ import annotations\nNames = list[str]\n",
    "annotation.py": "def f(x: dict[str, int]) -> None: ...\n",
    "union.py": "x: int | None = None\n",
    "prefix.py": "'ab'.removeprefix('a')\n",
    "zip.py": "for _ in zip([], [], strict=True): pass\n",
    "module.py": "import tomllib\nfrom itertools import pairwise\n",
    "fine.py":
      "from __future__ import annotations\ndef f(x: dict[str, int] | None) -> list[str]: ...\nif (n := 1): pass\n",
  };
  expect(await newerThan38(files)).toEqual([
    expect.stringMatching(/^match\.py:3 Pattern matching/),
    "generic.py:2 list[…] when it runs: 3.9",
    "annotation.py:1 dict[…] when it runs: 3.9",
    "union.py:1 … | None when it runs: 3.10",
    "prefix.py:1 .removeprefix: 3.9",
    "zip.py:1 zip(strict=): 3.10",
    "module.py:1 tomllib: 3.11",
    "module.py:2 pairwise: 3.10",
  ]);
});
