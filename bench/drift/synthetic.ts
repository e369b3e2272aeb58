/** Customers whose new rows have moved in a known way, and how many of them are found. */
import pg from "pg";
import type { DriftInput } from "../../fleet/drift.schema.js";
import type { Table } from "../report.js";
import type { Tell } from "../stack.js";
import { aWatchedFleet, lookAt, serveAll } from "./fleets.js";

/** SQL of the new rows' columns `target, x, y, colour`; the reference's are those of `none`. */
interface Change {
  readonly kind: "none" | "shift" | "scale" | "label" | "category";
  /** Standard deviations of the shift; the factor of the scale; the share of rows that change colour. */
  readonly strength: number;
  readonly columns: string;
}

const CALM = "random_normal(), random_normal(), random_normal()";
const COLOUR = "(array['red','green','blue','white'])[1 + floor(random() * 3.999)::int]";

export const CHANGES: readonly Change[] = [
  { kind: "none", strength: 0, columns: `${CALM}, ${COLOUR}` },
  ...[0.25, 0.5, 0.75, 1].map((strength): Change => {
    const columns = `random_normal(), random_normal(${strength}), random_normal(), ${COLOUR}`;
    return { kind: "shift", strength, columns };
  }),
  ...[1.25, 1.5, 2, 3].map((strength): Change => {
    const columns = `random_normal(), random_normal(0, ${strength}), random_normal(), ${COLOUR}`;
    return { kind: "scale", strength, columns };
  }),
  ...[0.25, 0.5, 0.75, 1].map((strength): Change => {
    const columns = `random_normal(${strength}), random_normal(), random_normal(), ${COLOUR}`;
    return { kind: "label", strength, columns };
  }),
  ...[0.1, 0.2, 0.4, 0.6].map((strength): Change => {
    const columns = `${CALM}, case when random() < ${strength} then 'red' else ${COLOUR} end`;
    return { kind: "category", strength, columns };
  }),
];

const nameOf = ({ kind, strength }: Change): string => `${kind} ${strength}`;

const POLICIES: Readonly<Record<string, Partial<DriftInput>>> = {
  "PSI 0.25": { psi: 0.25 },
  "PSI 0.1": { psi: 0.1 },
  "PSI 0.25, KS 0.15": { psi: 0.25, ks: 0.15 },
};

export interface SyntheticSize {
  /** Of each change. */
  readonly customers: number;
  /** Rows of each customer in the reference and in the new window. */
  readonly rows: readonly (readonly [reference: number, newest: number])[];
}

export interface Detection {
  readonly kind: string;
  readonly strength: number;
  readonly rows: string;
  readonly policy: string;
  readonly share: number;
}

const WINDOW = { floor: "2020-01-01T00:00:00.000Z", ceiling: "2020-07-01T00:00:00.000Z" };
const AT = "2021-01-01T00:00:00.000Z";

export async function detect(
  { ledger, warehouseUrl }: { readonly ledger: pg.Pool; readonly warehouseUrl: string },
  { customers, rows }: SyntheticSize,
  tell: Tell,
): Promise<Detection[]> {
  const found: Detection[] = [];
  for (const [reference, newest] of rows) {
    const table = `drift_${reference}_${newest}`;
    tell(`making ${customers * CHANGES.length} customers of ${reference} and ${newest} rows …`);
    await fill(warehouseUrl, { table, customers, reference, newest });
    for (const [policy, drift] of Object.entries(POLICIES)) {
      const spec = await aWatchedFleet({
        name: `drift-${found.length}`,
        query: `select customer, target, x, y, colour from ${table} where at >= :floor and at < :ceiling`,
        customer: "customer",
        target: "target",
        drift: { ...drift, minimumRows: 50 },
      });
      const names = CHANGES.flatMap((change) =>
        Array.from({ length: customers }, (_none, number) => `${nameOf(change)} ${number}`),
      );
      await serveAll(ledger, spec, { customers: names, window: WINDOW });
      const { drifted } = await lookAt(ledger, spec, AT, warehouseUrl);
      for (const change of CHANGES) {
        const mine = [...drifted].filter((name) => name.startsWith(`${nameOf(change)} `));
        const { kind, strength } = change;
        const share = mine.length / customers;
        found.push({ kind, strength, rows: `${reference} and ${newest}`, policy, share });
      }
      tell(`${reference} and ${newest} rows, ${policy}: ${drifted.size} found`);
    }
  }
  return found;
}

async function fill(
  url: string,
  o: {
    readonly table: string;
    readonly customers: number;
    readonly reference: number;
    readonly newest: number;
  },
): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(
      `create unlogged table ${o.table} (customer text, at timestamptz, target float8, x float8, y float8, colour text)`,
    );
    await client.query("select setseed(0.4177)");
    for (const change of CHANGES)
      for (const [day, rows, columns] of [
        ["2020-02-01", o.reference, `${CALM}, ${COLOUR}`],
        ["2020-08-01", o.newest, change.columns],
      ] as const)
        await client.query(
          `insert into ${o.table} select '${nameOf(change)} ' || c, timestamptz '${day}', ${columns}
             from generate_series(0, ${o.customers - 1}) c, generate_series(1, ${rows}) n`,
        );
    await client.query(`vacuum analyze ${o.table}`);
  } finally {
    await client.end();
  }
}

export function detectionTables(found: readonly Detection[], customers: number): Table[] {
  const policies = Object.keys(POLICIES);
  const sizes = [...new Set(found.map(({ rows }) => rows))];
  return sizes.map((rows) => ({
    title: `Synthetic drift: customers found, of ${customers} each, with ${rows} rows`,
    headers: ["change", ...policies],
    rows: CHANGES.map(({ kind, strength }) => [
      changeWords(kind, strength),
      ...policies.map((policy) => {
        const one = found.find(
          (each) =>
            each.kind === kind &&
            each.strength === strength &&
            each.rows === rows &&
            each.policy === policy,
        );
        return `${((one?.share ?? NaN) * 100).toFixed(1)} %`;
      }),
    ]),
  }));
}

function changeWords(kind: Change["kind"], strength: number): string {
  switch (kind) {
    case "none":
      return "none (false alarms)";
    case "shift":
      return `a feature moves by ${strength} σ`;
    case "scale":
      return `a feature spreads ${strength} times as far`;
    case "label":
      return `the label moves by ${strength} σ`;
    case "category":
      return `${strength * 100} % of a category's rows become one value`;
  }
}
