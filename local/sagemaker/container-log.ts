/** The log of a job or an endpoint: what its containers print, kept when they are gone. */
import { createWriteStream, mkdirSync } from "node:fs";
import { dirname } from "node:path";

/** A script that prints for ever must not fill the disk. */
const maxLogBytes = 16 * 1024 * 1024;

export interface Log {
  readonly write: (line: string) => void;
  readonly close: () => Promise<void>;
}

/** A job's log begins anew; an endpoint's goes on where the fleet before it ended. */
export function openLog(file: string, { append }: { append: boolean }): Log {
  mkdirSync(dirname(file), { recursive: true });
  const stream = createWriteStream(file, { flags: append ? "a" : "w" });
  let size = 0;
  // A log that cannot be written (a full disk) must not fail the job that it is about.
  stream.on("error", () => undefined);
  return {
    write: (line) => {
      if (size > maxLogBytes) return;
      size += Buffer.byteLength(line) + 1;
      stream.write(size > maxLogBytes ? "… the log ends here: it is full\n" : `${line}\n`);
    },
    close: () =>
      new Promise((resolve) => {
        if (stream.destroyed) resolve();
        else stream.once("close", resolve).end();
      }),
  };
}
