/** Asks the warehouse for a query's columns without running it. */
import type { QueryColumn } from "../../fleet/query-columns.js";
import type { Warehouse } from "./warehouse.js";

/** On one line with the query's first, so that Postgres' positions are lines of the fleet's query. */
export async function describeQuery(warehouse: Warehouse, query: string): Promise<QueryColumn[]> {
  const { fields } = await warehouse.query(`select * from (${query}\n) as given limit 0`);
  // A domain is what it is made of.
  const { rows } = await warehouse.query(
    `select format_type(coalesce(nullif(t.typbasetype, 0), t.oid), modifier), t.typcategory
       from unnest($1::oid[], $2::int[]) with ordinality as given (oid, modifier, place)
       join pg_type t on t.oid = given.oid
      order by place`,
    [fields.map((field) => field.dataTypeID), fields.map((field) => field.dataTypeModifier)],
  );
  return fields.map((field, place) => {
    const [type, category] = rows[place] ?? [];
    return { name: field.name, type: type ?? "unknown", category: category ?? "X" };
  });
}

/** As a number: 180004 is 18.4. */
export async function serverVersion(warehouse: Warehouse): Promise<number> {
  const { rows } = await warehouse.query("select current_setting('server_version_num')");
  return Number(rows[0]?.[0]);
}
