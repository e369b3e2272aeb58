/** What an account offers to endpoints, told before they are made. */
import { describe, expect, test } from "vitest";
import { endpointQuotaRefusals } from "../../fleet/endpoint-quota.js";
import { endpointSchema } from "../../fleet/spec.schema.js";

const serverless = (maxConcurrency: number) =>
  endpointSchema.parse({ kind: "serverless", maxConcurrency });

describe("an account's quota", () => {
  test.each([
    [1, 200],
    [50, 20],
    [5, 200],
  ])("has room for %i customers with %i invocations at a time each", (customers, concurrency) => {
    expect(endpointQuotaRefusals(serverless(concurrency), customers)).toEqual([]);
  });

  test("has 50 serverless endpoints, and 1000 concurrent invocations of all of them", () => {
    expect(endpointQuotaRefusals(serverless(1), 51)).toEqual([
      "51 customers need as many serverless endpoints, and an account has 50",
    ]);
    expect(endpointQuotaRefusals(serverless(21), 50)).toEqual([
      "50 customers with a maxConcurrency of 21 reserve 1050 concurrent invocations, and an account has 1000",
    ]);
  });

  test("does not concern endpoints with instances, whose quota is by instance type", () => {
    expect(endpointQuotaRefusals(endpointSchema.parse({ kind: "dedicated" }), 900)).toEqual([]);
  });
});
