/** What is found out beyond a lineage, while it is. */
export interface SinceFindings {
  decided: number;
  registered: number;
  served: number;
  /** A sentence each. */
  readonly lost: string[];
}

/** Clocks differ, and what was under way when the lineage was written is looked at again. */
const SLACK_MILLISECONDS = 60 * 60 * 1000;

export const sinceTime = (writtenAt: string): Date =>
  new Date(Date.parse(writtenAt) - SLACK_MILLISECONDS);
