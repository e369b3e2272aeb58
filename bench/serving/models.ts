/** Many real models to serve: a few trained on flights, copied under many customers' names. */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync, cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import pg from "pg";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import type { BenchStack } from "../stack.js";

const run = promisify(execFile);

/** Where train.py and inference.py are. */
export const SCRIPTS = fileURLToPath(
  new URL("../../training/xgboost_regression/", import.meta.url),
);
const DESTINATIONS = ["ATL", "ORD", "LAX", "BOS", "MCO", "CLT", "SFO", "FLL"];
const FEATURES = [
  { name: "dep_delay", type: "number" },
  { name: "distance", type: "number" },
  { name: "carrier", type: "category" },
  { name: "origin", type: "category" },
  { name: "month", type: "number" },
  { name: "day", type: "number" },
  { name: "hour", type: "number" },
];
const SHARES = { train: [0, 60], validation: [60, 90], test: [90, 100] } as const;

export interface ServingModels {
  /** One folder per model, named like it, with what an artifact unpacks to. */
  readonly folder: string;
  readonly names: readonly string[];
  readonly artifacts: ReadonlyMap<string, Buffer>;
  /** Feature rows as CSV, one a line. */
  readonly rows: readonly string[];
}

export async function trainModels(stack: BenchStack, count: number): Promise<ServingModels> {
  const trained: string[] = [];
  let rows: string[] = [];
  for (const destination of DESTINATIONS.slice(0, count)) {
    const data = await writeRows(stack, destination);
    const model = join(stack.workFolder, "trained", destination);
    const channels = ["train", "validation", "test", "schema"].flatMap((channel) => [
      `--${channel}`,
      join(data, channel),
    ]);
    await run(stack.productPython, [
      ...[join(SCRIPTS, "train.py"), ...channels, "--model-dir", model],
      ...["--num_round", "150", "--max_depth", "5"],
    ]);
    trained.push(model);
    rows = [...rows, ...featureRows(join(data, "test"))];
  }
  return { ...(await copyModels(stack, trained, count)), rows };
}

/** Files as a training job's channels would hold them. */
async function writeRows(stack: BenchStack, destination: string): Promise<string> {
  const folder = join(stack.workFolder, "rows", destination);
  const client = new pg.Client({ connectionString: stack.warehouseUrl });
  await client.connect();
  const columns = FEATURES.map(({ name }) => name).join(", ");
  for (const [channel, [from, to]] of Object.entries(SHARES)) {
    const { rows } = await client.query<{ line: string }>(
      `select concat_ws(',', arr_delay, ${columns}) as line
         from flights
        where dest = $1 and arr_delay is not null and flight % 100 >= $2 and flight % 100 < $3`,
      [destination, from, to],
    );
    mkdirSync(join(folder, channel), { recursive: true });
    const lines = rows.map(({ line }) => `${line}\n`).join("");
    writeFileSync(join(folder, channel, "data.csv"), lines);
  }
  await client.end();
  mkdirSync(join(folder, "schema"));
  const schema = JSON.stringify({ target: "arr_delay", columns: FEATURES });
  writeFileSync(join(folder, "schema", "columns.json"), schema);
  return folder;
}

function featureRows(folder: string): string[] {
  const lines = readFileSync(join(folder, "data.csv"), "utf8").trimEnd().split("\n");
  return lines.slice(0, 100).map((line) => line.slice(line.indexOf(",") + 1));
}

async function copyModels(
  stack: BenchStack,
  trained: readonly string[],
  count: number,
): Promise<Omit<ServingModels, "rows">> {
  const folder = join(stack.workFolder, "models");
  const archives = await Promise.all(trained.map(archive));
  const artifacts = new Map<string, Buffer>();
  for (let number = 0; number < count; number++) {
    const name = `customer-${String(number).padStart(4, "0")}`;
    const source = trained[number % trained.length];
    const bytes = archives[number % trained.length];
    if (source === undefined || bytes === undefined) break;
    cpSync(source, join(folder, name), { recursive: true });
    artifacts.set(name, bytes);
  }
  return { folder, names: [...artifacts.keys()], artifacts };
}

/** model.tar.gz as SageMaker makes it. */
async function archive(folder: string): Promise<Buffer> {
  const tar = pack();
  for (const name of ["xgboost-model.json", "columns.json"]) {
    tar.entry({ name }, readFileSync(join(folder, name)));
  }
  tar.finalize();
  return gzipSync(await buffer(tar));
}
