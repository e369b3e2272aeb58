/** What `modelfleet approve` and `modelfleet deny` are asked for, about one model, many, or a cohort. */

export type Verdict = "approve" | "deny";

export interface DecideFlags {
  readonly version?: number;
  /** A cycle's id: its cohort. */
  readonly cohort?: string;
  readonly except?: string;
  /** Of a stage that wants an approval of its own. */
  readonly stage?: string;
  readonly note?: string;
  readonly by?: string;
  readonly allPending?: true;
  readonly where?: string;
  readonly exceptOutliers?: true;
  readonly sample?: number;
  readonly yes?: true;
  readonly json?: true;
}
