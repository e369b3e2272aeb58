/** Who may call which model: the policy lets in one customer's, and no name can widen it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  customerPolicy,
  endpointArn,
  ownTargetModels,
  sharedTargetModels,
} from "../../fleet/customer-policy.js";
import { SpecError } from "../../fleet/errors.js";
import { customerKey, targetModel } from "../../fleet/names.js";

const arn = endpointArn({
  region: "eu-west-1",
  account: "111111111111",
  endpointName: "cities-qa",
});
const customers = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.constantFrom("*", "?", "a*", "a/*", "${aws:username}", "a?b", "../b", "%2a", "a%2fb", "**"),
);

/** As IAM reads StringLike: `*` any characters, `?` one. */
const matches = (pattern: string, value: string): boolean =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replace(/\*/g, ".*")
      .replace(/\?/g, ".")}$`,
    "s",
  ).test(value);

describe("a customer's policy", () => {
  test("names the endpoint, and the models that may be called there", () => {
    const targetModels = [ownTargetModels("houston-tx", "versioned"), sharedTargetModels("shared")];
    expect(customerPolicy({ endpointArn: arn, targetModels })).toEqual({
      Version: "2012-10-17",
      Statement: [
        {
          Sid: "InvokeOwnModels",
          Effect: "Allow",
          Action: "sagemaker:InvokeEndpoint",
          Resource: "arn:aws:sagemaker:eu-west-1:111111111111:endpoint/cities-qa",
          Condition: { StringLike: { "sagemaker:TargetModel": ["houston-tx/*", "shared/*"] } },
        },
      ],
    });
  });

  test("has no condition where the endpoint is his alone", () => {
    const [statement] = customerPolicy({ endpointArn: arn, targetModels: null }).Statement;
    expect(statement).not.toHaveProperty("Condition");
  });

  test("has no wildcard but its own, whatever the warehouse calls the customer", () => {
    fc.assert(
      fc.property(customers, (customer) => {
        const key = customerKey(customer);
        expect(key).not.toMatch(/[*?${}/%\\]/);
        expect(ownTargetModels(key, "versioned")).toBe(`${key}/*`);
        expect(ownTargetModels(key, "stable")).not.toContain("*");
      }),
    );
  });

  test.each(["versioned", "stable"] as const)(
    "of %s models lets in all of the customer's versions, and none of another's",
    (naming) => {
      fc.assert(
        fc.property(customers, customers, fc.nat(9999), (one, other, version) => {
          const [key, otherKey] = [customerKey(one), customerKey(other)];
          const pattern = ownTargetModels(key, naming);
          expect(matches(pattern, targetModel(key, version, naming))).toBe(true);
          fc.pre(key !== otherKey);
          expect(matches(pattern, targetModel(otherKey, version, naming))).toBe(false);
        }),
      );
    },
  );

  test.each(["shared", "shared/", "shared/*", "common/base-1.0"])(
    "takes the folder %j",
    (prefix) => {
      expect(sharedTargetModels(prefix)).toMatch(/^[a-z0-9./-]+\/\*$/);
    },
  );

  test.each([
    "",
    "*",
    "/",
    "a*",
    "a/*/b",
    "?",
    "..",
    "../x",
    "a/../b",
    "/a",
    "${aws:username}",
    "a%2f",
  ])("refuses %j as a shared folder", (prefix) => {
    expect(() => sharedTargetModels(prefix)).toThrow(SpecError);
  });
});
