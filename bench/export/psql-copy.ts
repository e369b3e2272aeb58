/** Raw COPY of the same query to /dev/null by psql: what the wire and Postgres allow at the most. */
import { execFileSync } from "node:child_process";
import type { Contender } from "../measured-process.js";

export function psqlVersion(): string {
  try {
    return execFileSync("psql", ["--version"], { encoding: "utf8" }).trim();
  } catch (error) {
    throw new Error(
      "the export benchmark measures against psql, which is not on the PATH; " +
        "install it (apt-get install postgresql-client, brew install libpq)",
      { cause: error },
    );
  }
}

/**
 * As `\copy (…) to '/dev/null' csv`, whose documentation names this form as its equal for queries of several lines.
 * psql's own timing leaves out the start of its process.
 */
export function psqlCopy(url: string, query: string): Contender {
  return {
    command: "psql",
    args: ["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", url],
    stdin: `\\timing on\ncopy (\n${query}\n) to stdout (format csv) \\g /dev/null\n`,
  };
}

/** From `Time: 1234.567 ms (00:01.235)`, or with a decimal comma in other locales. */
export function psqlSeconds(stdout: string): number {
  const milliseconds = /Time: ([\d.,]+) ms/.exec(stdout)?.[1];
  if (milliseconds === undefined) throw new Error(`psql told no time: ${stdout}`);
  return Number(milliseconds.replace(",", ".")) / 1000;
}
