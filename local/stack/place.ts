/** Where a stack lives: one folder that holds all its state, and nothing outside of it. */
import { join, resolve } from "node:path";
import { StackError } from "./stack-error.js";

export interface StackPlace {
  /** Tells two stacks apart; default `local`. */
  readonly name?: string;
  /** The folder that holds `.modelfleet/`; default the current one. */
  readonly baseDir?: string;
  /** The state folder itself, where it should not be `<baseDir>/.modelfleet/<name>`. */
  readonly state?: string | undefined;
}

export interface StackFolder {
  readonly name: string;
  readonly root: string;
  /** What names this stack on the command line: empty for the default one. */
  readonly flags: string;
  /** Settings and secrets of this stack; its presence marks the folder as ours. */
  readonly stackFile: string;
  readonly lockFile: string;
  /** The dotenv file that client and worker read. */
  readonly environmentFile: string;
  readonly logs: string;
  readonly processes: string;
  readonly postgres: string;
  readonly temporal: string;
  readonly s3: string;
  readonly sagemaker: string;
}

const namePattern = /^[a-z][a-z0-9-]{0,30}$/;

export function stackFolder(place: StackPlace): StackFolder {
  const name = place.name ?? "local";
  if (!namePattern.test(name)) {
    throw new StackError(
      "StackSettingInvalid",
      `the stack's name "${name}" is not a name: lower-case letters, digits and hyphens, 31 at most`,
      "choose a name such as --name demo",
    );
  }
  const root = resolve(place.state ?? join(place.baseDir ?? process.cwd(), ".modelfleet", name));
  const flags = [
    name === "local" ? "" : ` --name ${name}`,
    place.state === undefined ? "" : ` --state ${place.state}`,
  ].join("");
  return {
    name,
    root,
    flags,
    stackFile: join(root, "stack.json"),
    lockFile: join(root, "lock"),
    environmentFile: join(root, "env"),
    logs: join(root, "logs"),
    processes: join(root, "processes"),
    postgres: join(root, "postgres"),
    temporal: join(root, "temporal"),
    s3: join(root, "s3"),
    sagemaker: join(root, "sagemaker"),
  };
}
