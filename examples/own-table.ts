/** The table of an example in the warehouse: one that it has made itself, and never somebody else's of that name. */
import type pg from "pg";
import { ClientError } from "../client/errors.js";

/** What the comments of such tables begin with. */
export const MARK = "made by an example of modelfleet";

/**
 * Makes the table by `create`, which may find it made. Throws ClientError, with nothing changed, when the warehouse
 * has a table of that name which no example has made: it will be emptied and filled again.
 */
export async function ownTable(
  client: pg.Client,
  { name, create }: { readonly name: string; readonly create: string },
): Promise<void> {
  await refuseOthers(client, name);
  await client.query(create);
  await client.query(`comment on table ${name} is '${MARK}'`);
}

/** Likewise, without making it. Returns the table's comment; null when there is no such table. */
export async function refuseOthers(client: pg.Client, name: string): Promise<string | null> {
  const { rows } = await client.query<{ there: boolean; comment: string | null }>(
    "select to_regclass($1) is not null as there, obj_description(to_regclass($1), 'pg_class') as comment",
    [name],
  );
  const { there = false, comment = null } = rows[0] ?? {};
  if (there && comment?.startsWith(MARK) !== true)
    throw new ClientError(
      `the warehouse has a table ${name} that no example of modelfleet has made, so it is left alone`,
      "name another database in WAREHOUSE_URL",
    );
  return comment;
}
