/** Fills the warehouse's table `machine_hours`: made-up hours of machines, the same for everybody. Twice does no harm. */
import pg from "pg";

/** Three months of 2025; what changes does so when the last of them begins. */
const FLOOR = "2025-02-01";
const CHANGE = "2025-04-01";
const CEILING = "2025-05-01";
const HOURS = 89 * 24;

const MOST_MACHINES = 1000;

/** How the machine that drifts is called: the last one. */
export const driftedMachine = (machines: number): string => `M${String(machines).padStart(3, "0")}`;

/** Throws when there are fewer than two machines, or more than 1,000. */
export async function load(
  connectionString: string,
  { machines = 10 }: Readonly<Record<string, number>>,
): Promise<string> {
  if (!Number.isInteger(machines) || machines < 2 || machines > MOST_MACHINES)
    throw new Error(`machines must be a whole number from 2 to ${MOST_MACHINES}, not ${machines}`);
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 4000 });
  await client.connect();
  try {
    await client.query("begin");
    await client.query(CREATE_TABLE);
    // Two loaders at a time: the second waits here, and then finds the hours.
    await client.query("lock table machine_hours in share row exclusive mode");
    const { rows } = await client.query<{ count: string }>("select count(*) from machine_hours");
    const loads = Number(rows[0]?.count) !== machines * HOURS;
    if (loads) {
      await client.query("truncate machine_hours");
      await client.query(FILL, [machines, FLOOR, CEILING, CHANGE]);
    }
    await client.query("commit"); // All of them, or none.
    const hours = `${(machines * HOURS).toLocaleString("en")} hours of ${machines} machines`;
    return `${hours} ${loads ? "made in" : "are in"} the warehouse`;
  } finally {
    await client.end();
  }
}

const CREATE_TABLE = `
  create table if not exists machine_hours (
    machine text not null,
    measured_at timestamptz not null,
    load real not null,                 -- 0 to 1
    temperature real not null,          -- of its sensor, degrees
    tool text not null,
    power real not null                 -- kilowatts
  )`;

/** SQL: evenly between 0 and 1, by a hash of machine and hour. */
const share = (seed: number): string =>
  `((hashint8extended((m * 100000 + hour)::bigint, ${seed}) & 1048575) / 1048575.0::float8)`;

/** From its change on the last machine's sensor reads 12 degrees more, and its bearings take half as much power again. */
const FILL = `
  insert into machine_hours (machine, measured_at, load, temperature, tool, power)
  select 'M' || lpad(m::text, 3, '0'), at, load, temperature + case when changed then 12 else 0 end, tool,
         (15 + m % 7 + 60 * load + 0.8 * temperature + case tool when 'drill' then 6 else 0 end)
           * case when changed then 1.5 else 1 end + 3 * (noise - 1)
    from (select m, at, m = $1::int and at >= ($4 || ' UTC')::timestamptz as changed, ${share(1)} as load,
                 18 + 4 * sin(2 * pi() * hour / 24.0) + 4 * (${share(2)} + ${share(3)} - 1) as temperature,
                 (array['drill', 'mill', 'saw'])[1 + floor(2.999 * ${share(4)})::int] as tool,
                 ${share(5)} + ${share(6)} as noise
            from generate_series(1, $1::int) as m,
                 generate_series(($2 || ' UTC')::timestamptz, ($3 || ' UTC')::timestamptz - interval '1 hour', '1 hour')
                   with ordinality as h (at, hour)) as hours`;
