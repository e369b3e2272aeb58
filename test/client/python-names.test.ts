/** What text tells of a Python file without running it. */
import { expect, test } from "vitest";
import { definesName } from "../../client/python-names.js";

const defines = (source: string) => definesName(source, "model_fn");

test.each([
  ["a function", "import os\n\ndef model_fn(model_dir):\n    return 1\n"],
  ["one that depends", "if True:\n    def model_fn(model_dir, context):\n        return 1\n"],
  ["an assignment", "model_fn = load\n"],
  ["one with a type", "model_fn: Callable[[str], Any] = load\n"],
  ["an import", "from serving import model_fn, predict_fn\n"],
  ["one in brackets", "from serving import (\n    input_fn,\n    model_fn,\n)\n"],
  ["one over two lines", "from serving import input_fn, \\\n    model_fn\n"],
  ["an import of everything", "from serving import *\n"],
])("%s is a definition", (_kind, source) => {
  expect(defines(source)).toBe(true);
});

test.each([
  ["an empty file", ""],
  ["a docstring about it", '"""\ndef model_fn(model_dir):\n"""\n'],
  ["a comment about it", "# def model_fn(model_dir): don't\nx = 'model_fn = 1'\n"],
  ["a longer name", "def model_fn_of(model_dir):\n    return 1\nmy_model_fn = 1\n"],
  ["a comparison", "if model_fn == 1:\n    pass\n"],
  ["a call", "model_fn('/opt/ml/model')\n"],
])("%s is none", (_kind, source) => {
  expect(defines(source)).toBe(false);
});
