/** Makes up houses by location, the same ones every time, in the warehouse's table `house_sales`. */
import pg from "pg";
import { MARK, refuseOthers } from "../own-table.js";

/** What it must hold is told by its comment: another number of houses is another table. */
export async function load(
  connectionString: string,
  { locations = 10, houses = 500 }: Readonly<Record<string, number>>,
): Promise<string> {
  const made = `${locations} locations, ${houses} houses each`;
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 4000 });
  await client.connect();
  try {
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock(hashtext('house_sales'))");
    const comment = `${MARK}: ${made}`;
    const loads = (await refuseOthers(client, "house_sales")) !== comment;
    if (loads) {
      await client.query("drop table if exists house_sales");
      await client.query(housesTable(locations, houses));
      await client.query(`comment on table house_sales is '${comment}'`);
    }
    await client.query("commit");
    return `${made} ${loads ? "made up in" : "are in"} the warehouse`;
  } finally {
    await client.end();
  }
}

const CITIES = [
  ...["NewYork_NY", "LosAngeles_CA", "Chicago_IL", "Houston_TX", "Dallas_TX"],
  ...["Phoenix_AZ", "Philadelphia_PA", "SanAntonio_TX", "SanDiego_CA", "SanFrancisco_CA"],
];

/** A number between 0 and 1 that is the same for the same words. */
const chance = (words: string): string =>
  `((hashtextextended(${words}, 0) & 2147483647) / 2147483647.0)::float8`;

/** What a square foot, a porch or a year is worth differs by location: that is what the models learn. */
const housesTable = (locations: number, houses: number): string => `
  create table house_sales as
  with place as (
    select number, coalesce((array[${CITIES.map((city) => `'${city}'`).join(", ")}])[number], 'Town_' || number) as location
      from generate_series(1, ${Math.round(locations)}) as number),
  house as (
    select location, house,
           1950 + floor(70 * ${chance("location || house || 'year'")})::int as year_built,
           800 + floor(3200 * ${chance("location || house || 'feet'")})::int as square_feet,
           1 + floor(6 * ${chance("location || house || 'bed'")})::int as bedrooms,
           1 + floor(6 * ${chance("location || house || 'bath'")})::int / 2.0 as bathrooms,
           round((0.1 + 1.4 * ${chance("location || house || 'lot'")})::numeric, 2)::float8 as lot_acres,
           floor(4 * ${chance("location || house || 'garage'")})::int as garages,
           case when ${chance("location || house || 'porch'")} < 0.5 then 'y' else 'n' end as front_porch,
           case when ${chance("location || house || 'deck'")} < 0.4 then 'y' else 'n' end as deck
      from place, generate_series(1, ${Math.round(houses)}) as house)
  select location, timestamptz '2025-01-01 00:00Z' + house * interval '455 days' / ${Math.round(houses) + 1} as sold_at,
         year_built, square_feet, bedrooms, bathrooms::float8 as bathrooms, lot_acres, garages, front_porch, deck,
         round((40000 + 250000 * ${chance("location || 'base'")}
                + square_feet * (60 + 200 * ${chance("location || 'per foot'")})
                + 12000 * bedrooms + 9000 * bathrooms + 30000 * lot_acres + 7000 * garages
                + (year_built - 1950) * 1200 * ${chance("location || 'per year'")}
                + case when front_porch = 'y' then 20000 * ${chance("location || 'per porch'")} else 0 end
                + case when deck = 'y' then 15000 * ${chance("location || 'per deck'")} else 0 end
                + 40000 * (${chance("location || house || 'luck'")} - 0.5))::numeric, 2)::float8 as price
    from house`;
