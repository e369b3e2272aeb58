/** What `modelfleet local` needs of the process around it; the command line's own shell fits. */
import type { createColors } from "picocolors";

interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface LocalShell {
  readonly stdin: NodeJS.ReadStream;
  /** For data. */
  readonly stdout: Stream;
  /** For progress and questions. */
  readonly stderr: Stream;
  readonly directory: string;
  readonly colors: ReturnType<typeof createColors>;
  readonly progressColors: ReturnType<typeof createColors>;
  readonly exit: (code: number) => void;
}
