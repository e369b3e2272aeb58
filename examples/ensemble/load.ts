/** Loads scikit-learn's diabetes data (442 patients) into the warehouse's table `diabetes`. Twice does no harm. */
import { spawn } from "node:child_process";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import type { LoadTools, Settings } from "../example.js";
import { ownTable } from "../own-table.js";

const PATIENTS = 442;

export async function load(
  connectionString: string,
  _settings: Settings,
  { python }: Pick<LoadTools, "python">,
): Promise<string> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 4000 });
  await client.connect();
  try {
    await client.query("begin");
    await ownTable(client, { name: "diabetes", create: CREATE_TABLE });
    // Two loaders at a time: the second waits here, and then finds the patients.
    await client.query("lock table diabetes in share row exclusive mode");
    const { rows } = await client.query<{ count: string }>("select count(*) from diabetes");
    const loads = Number(rows[0]?.count) !== PATIENTS;
    if (loads) {
      await client.query("truncate diabetes");
      await copyPatients(client, await python());
    }
    await client.query("commit");
    return `${PATIENTS} patients ${loads ? "loaded into" : "are in"} the warehouse`;
  } finally {
    await client.end();
  }
}

async function copyPatients(client: pg.Client, python: string): Promise<void> {
  // Beside this file, also when it runs from dist/.
  const here = import.meta.url.replace("/dist/examples/", "/examples/");
  const script = fileURLToPath(new URL("./read_diabetes.py", here));
  const reader = spawn(python, [script], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  reader.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = new Promise<number | null>((resolve, reject) => {
    reader.once("error", reject).once("close", resolve);
  });
  const columns = "patient, age, sex, bmi, bp, s1, s2, s3, s4, s5, s6, progression";
  const copy = client.query(copyFrom(`copy diabetes (${columns}) from stdin with (format csv)`));
  await pipeline(reader.stdout, copy);
  const code = await ended;
  if (code !== 0) throw new Error(`${python} could not read the data: ${said.trim()}`);
}

/** The data has no dates: its patients are spread over 2025, in their order. */
const CREATE_TABLE = `
  create table if not exists diabetes (
    patient int primary key,
    enrolled_on date not null generated always as (date '2025-01-01' + (patient - 1) * 365 / ${PATIENTS}) stored,
    age double precision not null,
    sex double precision not null,
    bmi double precision not null,     -- body mass index
    bp double precision not null,      -- average blood pressure
    s1 double precision not null,      -- six measurements of the blood serum
    s2 double precision not null,
    s3 double precision not null,
    s4 double precision not null,
    s5 double precision not null,
    s6 double precision not null,
    progression double precision not null
  )`;
