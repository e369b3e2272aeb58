/** Fills the warehouse's table `energy_consumption`: made-up hourly consumption, the same for everybody. Twice does no harm. */
import pg from "pg";
import { ownTable } from "../own-table.js";

/** Hours of the year 2025 up to the newest cycle's ceiling. */
const FLOOR = "2025-01-01";
const CEILING = "2025-04-01";
const HOURS = 90 * 24;

/** More would be no test of a laptop's patience any more. */
const MOST_CUSTOMERS = 20_000;

/** `customers` are numbered from 0. Throws when there are none, or more than 20,000. */
export async function load(
  connectionString: string,
  { customers = 1000 }: Readonly<Record<string, number>>,
): Promise<string> {
  if (!Number.isInteger(customers) || customers < 1 || customers > MOST_CUSTOMERS)
    throw new Error(
      `customers must be a whole number from 1 to ${MOST_CUSTOMERS}, not ${customers}`,
    );
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 4000 });
  await client.connect();
  try {
    await client.query("begin");
    await ownTable(client, { name: "energy_consumption", create: CREATE_TABLE });
    // Two loaders at a time: the second waits here, and then finds the hours.
    await client.query("lock table energy_consumption in share row exclusive mode");
    const { rows } = await client.query<{ count: string }>(
      "select count(*) from energy_consumption",
    );
    const loads = Number(rows[0]?.count) !== customers * HOURS;
    if (loads) {
      await client.query("truncate energy_consumption");
      await client.query(FILL, [customers, FLOOR, CEILING]);
    }
    await client.query("commit"); // All of them, or none.
    if (loads) await client.query("analyze energy_consumption");
    const hours = `${(customers * HOURS).toLocaleString("en")} hours of ${customers} customers`;
    return `${hours} ${loads ? "made in" : "are in"} the warehouse`;
  } finally {
    await client.end();
  }
}

const CREATE_TABLE = `
  create table if not exists energy_consumption (
    customer_id int not null,
    "timestamp" timestamptz not null,
    consumption real not null           -- 0 to 1,000
  )`;

/** SQL: evenly between 0 and 1, by a hash of the number. */
const share = (number: string, seed: number): string =>
  `((hashint8extended((${number})::bigint, ${seed}) & 1048575) / 1048575.0::float8)`;

/** A sine by day and one by week, of each customer's own size and phase, a slow trend, and noise; by hashes, not by chance. */
const FILL = `
  insert into energy_consumption (customer_id, "timestamp", consumption)
  select c, at,
         greatest(0, least(1000,
           300 + 400 * ${share("c", 1)}
           + (60 + 140 * ${share("c", 2)}) * sin(2 * pi() * (hour / 24.0 + ${share("c", 3)}))
           + (20 + 80 * ${share("c", 4)}) * sin(2 * pi() * (hour / 168.0 + ${share("c", 5)}))
           + 60 * (${share("c", 6)} - 0.5) * hour / 2160
           + 80 * (${share("c * 10000 + hour", 7)} + ${share("c * 10000 + hour", 8)} - 1)))
    from generate_series(0, $1::int - 1) as c,
         generate_series(($2 || ' UTC')::timestamptz, ($3 || ' UTC')::timestamptz - interval '1 hour', '1 hour') with ordinality as h (at, hour)`;
