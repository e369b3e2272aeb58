/** What `modelfleet approve` and `modelfleet deny` are asked for, about one model or many. */

export type Verdict = "approve" | "deny";

export interface DecideFlags {
  readonly version?: number;
  readonly note?: string;
  readonly by?: string;
  readonly allPending?: true;
  readonly where?: string;
  readonly exceptOutliers?: true;
  readonly sample?: number;
  readonly yes?: true;
  readonly json?: true;
}
