/** What a command may touch of the process around it: its streams, its folder, its settings. */
import { createColors } from "picocolors";
import { loadEnvironment } from "../environment.js";
import type { Environment } from "../settings.js";

export type Colors = ReturnType<typeof createColors>;

export interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string | Uint8Array): unknown;
}

export interface Shell {
  readonly stdin: NodeJS.ReadStream;
  /** For data. */
  readonly stdout: Stream;
  /** For progress and errors. */
  readonly stderr: Stream;
  readonly directory: string;
  /** Colours of data and of progress; off where the stream is no terminal. */
  readonly colors: Colors;
  readonly progressColors: Colors;
  /** The settings, with those of the nearest stack. Read when a command needs them. */
  readonly environment: () => Environment;
  /** How the command ended, unless it throws. */
  readonly exit: (code: number) => void;
}

export function processShell(process: NodeJS.Process): Shell {
  let environment: Environment | undefined;
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    directory: process.cwd(),
    colors: createColors(wantsColor(process.stdout, process.env)),
    progressColors: createColors(wantsColor(process.stderr, process.env)),
    environment: () => {
      if (environment === undefined) {
        loadEnvironment(process.env, process.cwd());
        environment = process.env;
      }
      return environment;
    },
    exit: (code) => {
      process.exitCode = code;
    },
  };
}

/** Only on a terminal, and never under NO_COLOR (any value but the empty one, see no-color.org). */
export function wantsColor(stream: Stream, environment: Environment): boolean {
  if (environment.NO_COLOR !== undefined && environment.NO_COLOR !== "") return false;
  return stream.isTTY === true && environment.TERM !== "dumb";
}
