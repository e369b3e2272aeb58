/** Cuts a stream of text into lines of bounded length. */

/** A log event of CloudWatch holds 256 KB; a line nobody ends must not grow in memory for ever. */
const LONGEST_LINE = 64 * 1024;

export interface LineSplitter {
  push(text: string): void;
  /** Gives out an unfinished last line. */
  end(): void;
}

export function splitLines(onLine: (line: string) => void): LineSplitter {
  let rest = "";
  return {
    push(text) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) onLine(line.endsWith("\r") ? line.slice(0, -1) : line);
      while (rest.length > LONGEST_LINE) {
        onLine(rest.slice(0, LONGEST_LINE));
        rest = rest.slice(LONGEST_LINE);
      }
    },
    end() {
      if (rest !== "") onLine(rest);
      rest = "";
    },
  };
}
