/** What a benchmark found, and how it is shown: one Markdown section, the same on screen and in RESULTS.md. */

export interface Table {
  readonly title: string;
  readonly headers: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Report {
  /** As in `npm run bench -- NAME`. */
  readonly name: string;
  readonly title: string;
  /** The command that repeats the run. */
  readonly command: string;
  readonly tables: readonly Table[];
  /** What a reader must know to judge the figures: what each side does, and what was left out. */
  readonly notes: readonly string[];
}

export function renderReport(report: Report, machine: readonly string[]): string {
  return [
    `## ${report.name}: ${report.title}`,
    "",
    `\`${report.command}\``,
    "",
    ...machine.map((line) => `- ${line}`),
    "",
    ...report.tables.flatMap((table) => [`### ${table.title}`, "", ...renderTable(table), ""]),
    ...report.notes.map((note) => `- ${note}`),
    "",
  ].join("\n");
}

/** The first column is text, the others are figures and stand to the right. */
function renderTable({ headers, rows }: Table): string[] {
  const cells = [headers, ...rows];
  const widths = headers.map((_, column) =>
    Math.max(3, ...cells.map((row) => (row[column] ?? "").length)),
  );
  const line = (row: readonly string[]) =>
    `| ${widths
      .map((width, column) =>
        column === 0 ? (row[column] ?? "").padEnd(width) : (row[column] ?? "").padStart(width),
      )
      .join(" | ")} |`;
  const rule = `| ${widths
    .map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`))
    .join(" | ")} |`;
  return [line(headers), rule, ...rows.map(line)];
}
