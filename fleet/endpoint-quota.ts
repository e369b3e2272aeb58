/** Tells, before anything is made, which of an account's quotas a fleet's endpoints would not fit in. */
import { LIMITS } from "./limits.js";
import type { EndpointSpec } from "./spec.schema.js";

/** One sentence each, with the numbers; none when all customers fit as far as that is known here. */
export function endpointQuotaRefusals(endpoint: EndpointSpec, customers: number): string[] {
  if (endpoint.kind !== "serverless") return [];
  const refusals: string[] = [];
  if (customers > LIMITS.serverlessEndpoints)
    refusals.push(
      `${customers} customers need as many serverless endpoints, and an account has ${LIMITS.serverlessEndpoints}`,
    );
  const concurrency = customers * endpoint.maxConcurrency;
  if (concurrency > LIMITS.serverlessAccountConcurrency)
    refusals.push(
      `${customers} customers with a maxConcurrency of ${endpoint.maxConcurrency} reserve ${concurrency} ` +
        `concurrent invocations, and an account has ${LIMITS.serverlessAccountConcurrency}`,
    );
  return refusals;
}

export const ENDPOINT_QUOTA_HINT =
  "lower maxConcurrency, serve all customers with multiModelEndpoint(…), or ask AWS for a higher quota";
