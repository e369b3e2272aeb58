/** What the exit codes mean; docs/reference/cli.md repeats them. */
export const EXIT = {
  done: 0,
  failed: 1,
  wrongUsage: 2,
  /** The command stopped watching; what it watched goes on. */
  stillRunning: 3,
} as const;
