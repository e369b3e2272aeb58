/** Search attributes that every modelfleet workflow carries; the Temporal namespace must know them. */
export const SEARCH_ATTRIBUTES = {
  /** The fleet's name. */
  fleet: "Fleet",
  /** The customer key, in workflows that belong to one customer. */
  customer: "Customer",
  /** The cycle id, for example `2013-07-01`. */
  cycle: "Cycle",
  /** `PENDING`, `APPROVED`, `DENIED`, `SUPERSEDED`, `EXPIRED`: of a release. */
  approvalState: "ApprovalState",
} as const;
