/** Fills the warehouse's table `houses` with made-up sales. The same settings make the same houses; twice does no harm. */
import pg from "pg";
import { ownTable } from "../own-table.js";

/** The first ones have names; further ones numbers. */
const CITIES: readonly string[] = [
  ...["NewYork_NY", "LosAngeles_CA", "Chicago_IL", "Houston_TX", "Dallas_TX", "Phoenix_AZ"],
  ...["Philadelphia_PA", "SanAntonio_TX", "SanDiego_CA", "SanFrancisco_CA"],
];

export const cityName = (index: number): string =>
  CITIES[index] ?? `City_${String(index + 1).padStart(4, "0")}`;

/** Tells what it did. */
export async function load(
  connectionString: string,
  { cities = 4, houses = 1000 }: Readonly<Record<string, number>>,
): Promise<string> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 4000 });
  await client.connect();
  try {
    await client.query("begin");
    await ownTable(client, { name: "houses", create: CREATE_TABLE });
    // Two loaders at a time: the second waits here, and then finds the houses.
    await client.query("lock table houses in share row exclusive mode");
    const { rows } = await client.query<{ cities: number; houses: number }>(
      "select count(distinct city)::int as cities, count(*)::int as houses from houses",
    );
    const loads = rows[0]?.cities !== cities || rows[0].houses !== cities * houses;
    if (loads) {
      await client.query("truncate houses");
      await client.query("select setseed(0.5)");
      const names = Array.from({ length: cities }, (_, index) => cityName(index));
      await client.query(INSERT_HOUSES, [names, houses]);
    }
    await client.query("commit");
    const sold = `${cities * houses} sales in ${cities} cities`;
    return loads ? `${sold} loaded into the warehouse` : `${sold} are in the warehouse`;
  } finally {
    await client.end();
  }
}

const CREATE_TABLE = `
  create table if not exists houses (
    city text not null,
    sold_at timestamptz not null,
    price int not null,                 -- US dollars
    square_feet int not null,
    num_bedrooms int not null,
    num_bathrooms numeric not null,
    lot_acres numeric not null,
    garage_spaces int not null,
    year_built int not null
  )`;

/** Box and Muller's, since Postgres before 16 has none; drawn anew wherever it stands. */
const NORMAL = "(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))";

/**
 * Normally distributed: square feet around 3,000 ± 750, acres around 1 ± 0.25, years around 1995 ± 10. The price is 150
 * dollars a square foot, more or less by city, and something for each room, acre and garage, less 5,000 for every year.
 * Sold on any day of 18 months, so that a window of a year has other houses a month later.
 */
const INSERT_HOUSES = `
  insert into houses
  select city, sold_at,
         (level * square_feet * 150 + 10000 * bedrooms + 15000 * bathrooms + 15000 * acres + 15000 * garages
          - 5000 * (2019 - year_built))::int,
         square_feet, bedrooms, bathrooms, acres, garages, year_built
    from (select city, '2019-01-01'::timestamptz + (i * 546.0 / $2) * interval '1 day' as sold_at,
                 0.8 + 0.1 * (place % 10) as level,
                 greatest(400, (3000 + 750 * ${NORMAL})::int) as square_feet,
                 2 + floor(5 * random())::int as bedrooms,
                 ((2 + floor(5 * random())) / 2)::numeric as bathrooms,
                 round((1 + 0.25 * ${NORMAL})::numeric, 2) as acres,
                 floor(4 * random())::int as garages,
                 least(2019, (1995 + 10 * ${NORMAL})::int) as year_built
            from unnest($1::text[]) with ordinality as cities (city, place),
                 generate_series(0, $2::int - 1) as i) as house`;
