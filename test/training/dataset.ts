/** Small made-up flights: enough structure for a model to find, the same in every run. */

export const columns = [
  { name: "dep_delay", type: "number" },
  { name: "carrier", type: "category" },
  { name: "hour", type: "number" },
];

export function schemaFile(features: readonly object[] = columns): Record<string, string> {
  return { "columns.json": JSON.stringify({ target: "arr_delay", columns: features }) };
}

/** CSV as the export writes it: target first, empty for NULL. */
export function flights(options: { rows: number; seed: number }): string {
  let state = options.seed;
  const random = (): number => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
  const rows = Array.from({ length: options.rows }, () => {
    const depDelay = Math.round(random() * 120 - 20);
    // "NA" is a carrier like any other, and "B6, Inc." needs quotes.
    const carrier = ["AA", "NA", '"B6, Inc."', ""][Math.floor(random() * 4)] ?? "";
    const hour = 5 + Math.floor(random() * 18);
    const slow = carrier === "NA" ? 25 : 0;
    const target = depDelay + slow + (random() - 0.5) * 10;
    return `${target.toFixed(2)},${random() < 0.05 ? "" : depDelay},${carrier},${hour}`;
  });
  return rows.join("\n") + "\n";
}

export function channels(more: Record<string, Record<string, string>> = {}) {
  return {
    train: { "data.csv": flights({ rows: 600, seed: 1 }) },
    validation: { "data.csv": flights({ rows: 200, seed: 2 }) },
    test: { "data.csv": flights({ rows: 100, seed: 3 }) },
    schema: schemaFile(),
    ...more,
  };
}
