/** What the check of one part came to. */

export interface Check {
  readonly part: string;
  /** `note`: not needed for what is set up now. */
  readonly state: "ok" | "problem" | "note";
  readonly found: string;
  readonly mend?: string;
}
