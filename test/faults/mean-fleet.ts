/** A sharded fleet on a stack of its own whose script takes its time, and notes each customer that it trains. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { TestStack } from "../stack.js";

export interface MeanFleet {
  readonly file: string;
  /** Customers in the order in which they were trained, again each time that one was. */
  readonly trained: () => Promise<string[]>;
}

/** Predicts the mean of the training rows. */
const TRAIN = `
import argparse, csv, io, json, os, statistics, tarfile, time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--notes")
parser.add_argument("--seconds", type=float)
args = parser.parse_args()
checkpoints = Path(os.environ["SM_OUTPUT_DIR"]).parent / "checkpoints"
output = Path(os.environ["SM_OUTPUT_DATA_DIR"])

def train(path):
    rows = {"train": [], "validation": [], "test": []}
    with path.open(newline="") as file:
        for channel, target, *_ in csv.reader(file):
            rows[channel].append(float(target))
    time.sleep(args.seconds)
    with open(args.notes, "a") as notes:
        notes.write(path.stem + "\\n")
    mean = statistics.fmean(rows["train"])
    errors = [mean - value for value in rows["test"]]
    rmse = statistics.fmean(error ** 2 for error in errors) ** 0.5
    mae = statistics.fmean(abs(error) for error in errors)
    figures = {"validation:rmse": rmse, "test:rmse": rmse, "test:mae": mae, "test:stdev_error": rmse,
               "baseline:rmse": 2 * rmse, "baseline:mae": 2 * mae,
               **{f"verification:{row}": mean for row in (1, 2, 3)}}
    if "SM_CHANNEL_CHAMPIONS" in os.environ:
        figures |= {"champion:rmse": 2 * rmse, "champion:mae": 2 * mae, "champion:stdev_error": 2 * rmse}
    for channel, values in rows.items():
        figures[channel + ":rows"] = len(values)
    return figures, json.dumps(mean).encode()

def keep(customer, figures, model):
    with tarfile.open(checkpoints / ("." + customer), "w:gz") as archive:
        entry = tarfile.TarInfo("mean.json")
        entry.size = len(model)
        archive.addfile(entry, io.BytesIO(model))
    os.replace(checkpoints / ("." + customer), checkpoints / (customer + ".tar.gz"))
    (checkpoints / (customer + ".json")).write_text(json.dumps({"customer": customer, "metrics": figures}))

lines = []
for path in sorted(Path(os.environ["SM_CHANNEL_CUSTOMERS"]).rglob("*.csv")):
    told, made = (checkpoints / (path.stem + ending) for ending in (".json", ".tar.gz"))
    if not (told.exists() and made.exists()):
        keep(path.stem, *train(path))
    lines.append(told.read_text())
output.mkdir(parents=True, exist_ok=True)
(output / ("results-" + os.environ["SM_CURRENT_HOST"] + ".jsonl")).write_text("\\n".join(lines))
`;

const INFERENCE = `
import json
from pathlib import Path

def model_fn(model_dir):
    return json.loads(Path(model_dir, "mean.json").read_text())

def input_fn(data, content_type):
    text = data.decode() if isinstance(data, bytes) else data
    return [line for line in text.splitlines() if line]

def predict_fn(rows, mean):
    return "".join(f"{mean!r}\\n" for _ in rows)

def output_fn(prediction, accept):
    return prediction
`;

export interface MeanFleetOptions {
  readonly name: string;
  readonly customers: number;
  /** For each customer. */
  readonly seconds: number;
  /** Of rows, from 2024-01 on; another mean in each. By default one. */
  readonly months?: number;
  /** The fleet file's `stages` and what else it declares, as source; by default one stage, `sandbox`. */
  readonly stages?: string;
  /** The policy's `autoApprove`, as source. */
  readonly autoApprove?: string;
}

export async function makeMeanFleet(
  stack: TestStack,
  options: MeanFleetOptions,
): Promise<MeanFleet> {
  const { name, customers, months = 1 } = options;
  const table = `sales_${name.replaceAll("-", "_")}`;
  const warehouse = new pg.Client({ connectionString: stack.environment.WAREHOUSE_URL });
  await warehouse.connect();
  try {
    await warehouse.query(
      `create table ${table} as
       select 'site-' || c as customer, (c + i % 7 + 20 * m)::float8 as amount, i as size,
              timestamptz '2024-01-15' + m * interval '1 month' as at
         from generate_series(1, ${customers}) c, generate_series(1, 60) i, generate_series(0, ${months - 1}) m`,
    );
  } finally {
    await warehouse.end();
  }
  const folder = join(stack.folder, name);
  const notes = join(folder, "notes.txt");
  await mkdir(join(folder, "training"), { recursive: true });
  await writeFile(join(folder, "training/train.py"), TRAIN);
  await writeFile(join(folder, "training/inference.py"), INFERENCE);
  await writeFile(notes, "");
  const file = join(folder, "fleet.ts");
  await writeFile(file, fleetFile(options, table, notes));
  const trained = async () =>
    (await readFile(notes, "utf8")).split("\n").filter((one) => one !== "");
  return { file, trained };
}

const fleetFile = (o: MeanFleetOptions, table: string, notes: string): string =>
  `import { defineFleet, multiModelEndpoint, policy, postgres, processing, sharded } from "modelfleet";

export default defineFleet({
  name: "${o.name}",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "select customer, amount, size from ${table} where at >= :floor and at < :ceiling",
    customer: "customer",
    target: "amount",
    window: { months: 1 },
    split: { validation: 0.3, test: 0.2 },
  }),
  training: sharded("./training", {
    framework: "scikit-learn",
    instances: 2,
    spot: { maxWait: "1h" },
    hyperparameters: { notes: ${JSON.stringify(notes)}, seconds: "${o.seconds}" },
  }),
  gate: policy({ metric: "rmse", autoApprove: ${o.autoApprove ?? "{ betterThanBaseline: 0 }"} }),
  endpoint: multiModelEndpoint(),
  stages: ${o.stages ?? '[{ name: "sandbox", account: "111111111111" }]'},
});
`;
