/** What `npm run example -- NAME` needs to know of an example. */
import type { Shell } from "../client/cli/shell.js";
import type { Connections } from "../client/connections.js";
import type { LoadedFleet } from "../client/fleet-file.js";
import type { CycleRun } from "../client/run-cycle.js";
import type { StackAccount } from "../local/stack/accounts.js";

export interface Example {
  /** One line: what it shows. */
  readonly title: string;
  /** The fleet's name. */
  readonly fleet: string;
  /** Absolute path of the fleet file. */
  readonly fleetFile: string;
  /** Scheduled times of the cycles that its data is enough for, in order; each run of the example does the next. */
  readonly cycles: readonly string[];
  /** AWS accounts that the local stack has to have beside its own. */
  readonly accounts?: readonly StackAccount[];
  /** What can be set on the command line as `--set name=value`, with the usual value. */
  readonly settings: Settings;
  /** Fills the warehouse, unless that is done already; tells what it did in one line. */
  readonly load: (
    connectionString: string,
    settings: Settings,
    tools: LoadTools,
  ) => Promise<string>;
  /** Before each cycle: what has to be there beside the parts and the data, looked at, made and printed. */
  readonly prepare?: (context: PrepareContext) => Promise<void>;
  /** After a cycle: what a person would try next, done and printed; `again` when that takes the next cycle, at once. */
  readonly show: (context: ExampleContext) => Promise<void | "again">;
}

export type Settings = Readonly<Record<string, number>>;

export interface LoadTools {
  /** How far it is, for the line that is shown meanwhile. */
  readonly tell: (message: string) => void;
  /** Path of the Python that jobs run in on this machine. */
  readonly python: () => Promise<string>;
}

export interface PrepareContext {
  readonly shell: Shell;
  readonly connections: Connections;
  readonly loaded: LoadedFleet;
}

export interface ExampleContext {
  readonly shell: Shell;
  readonly connections: Connections;
  readonly run: CycleRun;
  readonly settings: Settings;
  /** The stack is about to be stopped. */
  readonly ephemeral: boolean;
}
