/** What `npm run example -- NAME` needs to know of an example. */
import type { Shell } from "../client/cli/shell.js";
import type { Connections } from "../client/connections.js";
import type { CycleRun } from "../client/run-cycle.js";

export interface Example {
  /** One line: what it shows. */
  readonly title: string;
  /** The fleet's name. */
  readonly fleet: string;
  /** Absolute path of the fleet file. */
  readonly fleetFile: string;
  /** Scheduled times of the cycles that its data is enough for, in order; each run of the example does the next. */
  readonly cycles: readonly string[];
  /** What can be set on the command line as `--set name=value`, with the usual value. */
  readonly settings: Settings;
  /** Fills the warehouse, unless that is done already; tells what it did in one line. */
  readonly load: (
    connectionString: string,
    settings: Settings,
    tools: LoadTools,
  ) => Promise<string>;
  /** After a cycle: what a person would try next, done and printed. */
  readonly show: (context: ExampleContext) => Promise<void>;
}

export type Settings = Readonly<Record<string, number>>;

export interface LoadTools {
  /** How far it is, for the line that is shown meanwhile. */
  readonly tell: (message: string) => void;
  /** Path of the Python that jobs run in on this machine. */
  readonly python: () => Promise<string>;
}

export interface ExampleContext {
  readonly shell: Shell;
  readonly connections: Connections;
  readonly run: CycleRun;
  readonly settings: Settings;
  /** The stack is about to be stopped. */
  readonly ephemeral: boolean;
}
