/** The search attributes that workflows are started with: free at the start, one action each later. */
import { defineSearchAttributeKey, TypedSearchAttributes } from "@temporalio/common";
import { SEARCH_ATTRIBUTES } from "../fleet/search-attributes.js";

export const attributeKeys = {
  fleet: defineSearchAttributeKey(SEARCH_ATTRIBUTES.fleet, "KEYWORD"),
  customer: defineSearchAttributeKey(SEARCH_ATTRIBUTES.customer, "KEYWORD"),
  cycle: defineSearchAttributeKey(SEARCH_ATTRIBUTES.cycle, "KEYWORD"),
  approvalState: defineSearchAttributeKey(SEARCH_ATTRIBUTES.approvalState, "KEYWORD"),
} as const;

export type ApprovalState = "PENDING" | "APPROVED" | "DENIED" | "SUPERSEDED" | "EXPIRED";

/** Of a release that was decided so. */
export const APPROVAL_STATES = {
  approved: "APPROVED",
  denied: "DENIED",
  superseded: "SUPERSEDED",
  expired: "EXPIRED",
} as const;

export interface Attributes {
  readonly fleet: string;
  readonly customer?: string;
  readonly cycle?: string;
  readonly approvalState?: ApprovalState;
}

export function searchAttributes(attributes: Attributes): TypedSearchAttributes {
  const { fleet, customer, cycle, approvalState } = attributes;
  return new TypedSearchAttributes([
    { key: attributeKeys.fleet, value: fleet },
    ...(customer === undefined ? [] : [{ key: attributeKeys.customer, value: customer }]),
    ...(cycle === undefined ? [] : [{ key: attributeKeys.cycle, value: cycle }]),
    ...(approvalState === undefined
      ? []
      : [{ key: attributeKeys.approvalState, value: approvalState }]),
  ]);
}
