/** How long a worker takes to end once it is told to, and that it does. */

export interface ShutdownTimes {
  /** What runs may end by itself for so long; then activities are cancelled, and another worker takes them over. */
  readonly shutdownGraceTime: number;
  /** So long after the signal the worker stops waiting for activities that do not hear of it. */
  readonly shutdownForceTime: number;
}

/**
 * Milliseconds for a process that has to be gone within `seconds` of SIGTERM: four ninths of them as grace and eight
 * until activities are given up, the rest for closing connections. 45 s make 20 s and 40 s.
 */
export function shutdownTimes(seconds: number): ShutdownTimes {
  const ninth = (seconds * 1000) / 9;
  return {
    shutdownGraceTime: Math.round(4 * ninth),
    shutdownForceTime: Math.round(8 * ninth),
  };
}

export interface Ending {
  readonly seconds: number;
  /** Whether there is anything to bring to an end; before that the process may go at once. */
  readonly serves: () => boolean;
  readonly end: () => void;
}

/**
 * Ends the process `seconds` after the first SIGTERM or SIGINT if it still runs then: an activity that waits for an
 * answer keeps Node alive, and an orchestrator would kill it later, and log that as a failure. Returns what undoes it.
 */
export function endWithin({ seconds, serves, end }: Ending): () => void {
  let timer: NodeJS.Timeout | undefined;
  const signalled = () => {
    if (serves()) timer ??= setTimeout(end, seconds * 1000).unref();
    else end();
  };
  for (const signal of SIGNALS) process.on(signal, signalled);
  return () => {
    for (const signal of SIGNALS) process.off(signal, signalled);
    clearTimeout(timer);
  };
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
