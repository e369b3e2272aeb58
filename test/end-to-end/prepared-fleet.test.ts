/** A fleet whose rows are prepared by Python: a real processing job between the export and the training. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelfleetJson } from "../cli/modelfleet.js";
import { makeMeanFleet } from "../faults/mean-fleet.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type RunningWorker,
  type SmallFleet,
} from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19336 });
  worker = await startWorkerProcess(stack);
});
afterAll(async () => {
  await worker.stop();
  await stack.close();
});

/** Adds a feature, and leaves one customer's rows out. */
const PREPARE = `
import argparse, json, shutil
from pathlib import Path
import numpy
parser = argparse.ArgumentParser()
for name in ("data", "schema", "output", "without"):
    parser.add_argument(f"--{name}")
args = parser.parse_args()
output = Path(args.output)
schema = json.loads((Path(args.schema) / "columns.json").read_text())
schema["columns"].append({"name": "price_again", "type": "number"})
(output / "schema").mkdir(parents=True)
(output / "schema/columns.json").write_text(json.dumps(schema))
for path in Path(args.data).rglob("data.csv"):
    place = path.relative_to(args.data)
    if place.parts[0] == args.without:
        continue
    (output / "data" / place).parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines()
    (output / "data" / place).write_text("".join(f"{line},{line.split(',')[-1]}\\n" for line in lines))
`;

async function prepared(name: string, script: string): Promise<SmallFleet> {
  const fleet = await makeSmallFleet(stack, { name, customers: ["a", "b"] });
  await prepareBy(fleet.file, script, "b");
  return fleet;
}

/** Of a fleet file: a preparation that leaves one customer out. */
async function prepareBy(file: string, script: string, without: string): Promise<void> {
  const folder = join(file, "../prepare");
  await mkdir(folder);
  await writeFile(join(folder, "prepare.py"), script);
  const text = await readFile(file, "utf8");
  const declared = `processing("./prepare", { arguments: ["--without", "${without}"] })`;
  await writeFile(file, text.replace("  training:", `  preparation: ${declared},\n  training:`));
}

const json = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

test("what is trained on and served is what the processing job made", async () => {
  const fleet = await prepared("prepared", PREPARE);
  const { code, stderr } = await cli(stack, "run", fleet.file, "--at", "2024-02-01");
  expect(code, stderr).toBe(0);
  expect(await json("status", "prepared", "--customers")).toMatchObject({
    customers: [
      { customer: "a", state: expect.stringMatching(/approved|serving/) as string },
      { customer: "b", state: "skipped", reason: "no rows in the window" },
    ],
  });
  const asked = () => cli(stack, "invoke", "prepared", "a", "--body", "3,1,5,5");
  await expect.poll(async () => (await asked()).code, { timeout: 20_000 }).toBe(0);
  // Three features and the one that was added.
  expect((await cli(stack, "invoke", "prepared", "a", "--body", "3,1,5")).stderr).toContain(
    "the model takes 4: weekday, promotion, price, price_again",
  );
});

test("a preparation that fails fails the cycle with its reason, before anything is trained", async () => {
  const fleet = await prepared("unprepared", "raise ValueError('the rates of 2024 are missing')\n");
  const { code, stdout, stderr } = await cli(stack, "run", fleet.file, "--at", "2024-02-01");
  expect(code).toBe(1);
  expect(stdout + stderr).toMatch(/the preparation failed: .*the rates of 2024 are missing/);
});

/** A file for each customer, each row after its split: targets are moved, and a feature is added. */
const PREPARE_FILES = `
import argparse, csv, json
from pathlib import Path
parser = argparse.ArgumentParser()
for name in ("data", "schema", "output", "without"):
    parser.add_argument(f"--{name}")
args = parser.parse_args()
output = Path(args.output)
schema = json.loads((Path(args.schema) / "columns.json").read_text())
schema["columns"].append({"name": "size_again", "type": "number"})
for folder in ("schema", "customers"):
    (output / folder).mkdir(parents=True)
(output / "schema/columns.json").write_text(json.dumps(schema))
for path in Path(args.data).glob("*.csv"):
    if path.stem == args.without:
        continue
    with path.open(newline="") as rows, (output / "customers" / path.name).open("w", newline="") as file:
        for split, target, size in csv.reader(rows):
            csv.writer(file, lineterminator="\\n").writerow([split, float(target) + 1000, size, size])
`;

test("a sharded fleet's job trains on the files that the processing job made", async () => {
  const fleet = await makeMeanFleet(stack, { name: "meters", customers: 4, seconds: 0 });
  await prepareBy(fleet.file, PREPARE_FILES, "site-3");
  const { code, stderr } = await cli(stack, "run", fleet.file, "--at", "2024-02-01");
  expect(code, stderr).toBe(0);
  const serving = { state: expect.stringMatching(/approved|serving/) as string };
  expect(await json("status", "meters", "--customers")).toMatchObject({
    customers: [
      { customer: "site-1", ...serving },
      { customer: "site-2", ...serving },
      { customer: "site-3", state: "skipped", reason: "no rows in the window" },
      { customer: "site-4", ...serving },
    ],
  });
  expect((await fleet.trained()).sort()).toEqual(["site-1", "site-2", "site-4"]);
  const asked = () => cli(stack, "invoke", "meters", "site-4", "--body", "7,7");
  await expect.poll(async () => (await asked()).code, { timeout: 20_000 }).toBe(0);
  // The warehouse has 4 to 11.
  expect(Number((await asked()).stdout)).toBeGreaterThan(1000);
});
