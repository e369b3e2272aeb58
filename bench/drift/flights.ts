/** Real months: destinations whose flights of a month differ from the half-year before, and halves that do not differ. */
import pg from "pg";
import type { Table } from "../report.js";
import type { Tell } from "../stack.js";
import { aWatchedFleet, lookAt, serveAll, type Found } from "./fleets.js";

export interface MonthFound {
  readonly month: string;
  readonly compared: number;
  readonly drifted: number;
  readonly columns: Found["columns"];
}

const HALF_YEAR = { floor: "2013-01-01T00:00:00.000Z", ceiling: "2013-07-01T00:00:00.000Z" };
const COLUMNS = "dest, arr_delay, dep_delay, distance, carrier, origin, hour, minute";
const USABLE = "arr_delay is not null";

/** The flights, each month from July on beside January to June. */
const MONTHS = `select ${COLUMNS} from flights where time_hour >= :floor and time_hour < :ceiling and ${USABLE}`;
/** The first half-year again, every row dealt by its hash to the reference or to July: nothing has changed. */
const HALVES = `select ${COLUMNS} from (
  select *, case when hashtextextended(f::text, 1) % 2 = 0 then timestamptz '2013-02-01 00:00Z'
                 else timestamptz '2013-07-15 00:00Z' end as dealt
    from flights f where time_hour < timestamptz '2013-07-01 00:00Z' and ${USABLE}) as halves
 where dealt >= :floor and dealt < :ceiling`;

export async function watchFlights(
  { ledger, warehouseUrl }: { readonly ledger: pg.Pool; readonly warehouseUrl: string },
  { months }: { readonly months: number },
  tell: Tell,
): Promise<MonthFound[]> {
  const customers = await destinations(warehouseUrl);
  const found: MonthFound[] = [];
  const look = async (name: string, query: string, month: string, at: string) => {
    const drift = { psi: 0.25, window: { days: 31 }, minimumRows: 200 };
    const spec = await aWatchedFleet({ name, query, customer: "dest", target: "arr_delay", drift });
    await serveAll(ledger, spec, { customers, window: HALF_YEAR });
    const { compared, drifted, columns } = await lookAt(ledger, spec, at, warehouseUrl);
    found.push({ month, compared, drifted: drifted.size, columns });
    tell(`${month}: ${drifted.size} of ${compared} destinations`);
  };
  await look("drift-halves", HALVES, "no drift: halves", "2013-08-01T00:00:00.000Z");
  for (let number = 0; number < months; number++) {
    const at = new Date(Date.UTC(2013, 7 + number, 1)).toISOString();
    const month = new Date(Date.UTC(2013, 6 + number, 1)).toISOString().slice(0, 7);
    await look(`drift-${month}`, MONTHS, month, at);
  }
  return found;
}

async function destinations(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ dest: string }>(
      "select dest from flights group by dest having count(*) > 1000 order by dest",
    );
    return rows.map(({ dest }) => dest);
  } finally {
    await client.end();
  }
}

export const flightsTable = (found: readonly MonthFound[]): Table => ({
  title: "Flights: destinations found by PSI 0.25, a month beside January to June 2013",
  headers: ["new rows", "compared", "found", "columns that exceed, by destinations"],
  rows: found.map(({ month, compared, drifted, columns }) => [
    month,
    String(compared),
    `${drifted} (${((100 * drifted) / Math.max(1, compared)).toFixed(0)} %)`,
    columns
      .slice(0, 4)
      .map(([column, number]) => `${column} ${number}`)
      .join(", ") || "–",
  ]),
});
