/** What a fleet file may say, and what is refused with the field's name. */
import { describe, expect, test } from "vitest";
import { defineFleet, multiModelEndpoint, policy, postgres, script } from "../../index.js";
import { SpecError } from "../../fleet/errors.js";
import type { FleetFile } from "../../fleet/define.js";
import { fleetDeclarationSchema } from "../../fleet/spec.schema.js";

const aFleet = (changes: Partial<FleetFile> = {}): FleetFile =>
  defineFleet({
    name: "flight-delays",
    source: postgres({
      connection: "WAREHOUSE_URL",
      query: "./flights.sql",
      customer: "dest",
      target: "arr_delay",
      window: { months: 12 },
      split: { validation: 0.3, test: 0.1 },
    }),
    training: script("../training", { maxRuntime: "30m" }),
    gate: policy({ metric: "rmse", better: 0.02 }),
    endpoint: multiModelEndpoint({ instances: 2 }),
    stages: [{ name: "sandbox", account: "111111111111" }],
    ...changes,
  });

/** `field: message` of everything that is wrong. */
function issuesOf(declaration: object): string[] {
  const { error } = fleetDeclarationSchema.safeParse(declaration);
  return error?.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`) ?? [];
}

test("a short fleet file is filled up with defaults", () => {
  expect(fleetDeclarationSchema.parse(aFleet())).toMatchObject({
    specVersion: 1,
    source: {
      kind: "postgres",
      minimumRows: 50,
      split: { by: "hash" },
      window: { pushbackDays: 0 },
    },
    training: { kind: "script", entryPoint: "train.py", maxRuntimeSeconds: 1800 },
    gate: { metric: "rmse", better: 0.02, autoApprove: false },
    endpoint: { kind: "multi-model", instances: 2, naming: "versioned" },
    concurrency: 50,
    failureBudget: 0.05,
  });
});

test.each([
  ["90s", 90],
  ["30m", 1800],
  ["2h", 7200],
  ["1d", 86_400],
])("a runtime of %s is %i seconds", (maxRuntime, seconds) => {
  expect(script("x", { maxRuntime })).toEqual({
    kind: "script",
    source: "x",
    maxRuntimeSeconds: seconds,
  });
});

test.each(["", "30", "m", "1.5h", "30 minutes"])("a runtime of %j is refused", (maxRuntime) => {
  expect(() => script("x", { maxRuntime })).toThrow(SpecError);
});

describe("refused, with the field named", () => {
  const source = aFleet().source;
  test.each<[string, object, string]>([
    ["a misspelt key", { ...aFleet(), concurency: 5 }, "concurency"],
    [
      "a name that AWS would not take",
      aFleet({ name: "Flight_Delays" }),
      "name: lower-case letters",
    ],
    ["a name that leaves no room for others", aFleet({ name: "a".repeat(25) }), "name: at most 24"],
    [
      "a URL in place of a secret's name",
      aFleet({ source: { ...source, connection: "postgres://u:p@h/db" } }),
      "source.connection: the name of a secret",
    ],
    [
      "shares that leave nothing to train on",
      aFleet({ source: { ...source, split: { validation: 0.6, test: 0.4 } } }),
      "source.split: validation and test together",
    ],
    [
      "a split by time without its column",
      aFleet({ source: { ...source, split: { by: "time", validation: 0.3, test: 0.1 } } }),
      "source.split.column: split by",
    ],
    [
      "a spec of a newer version",
      { ...aFleet(), specVersion: 2 },
      "specVersion: this modelfleet understands",
    ],
    ["no stage", { ...aFleet(), stages: [] }, "stages"],
    [
      "an account that is none",
      aFleet({ stages: [{ name: "sandbox", account: "123" }] }),
      "stages.0.account: an AWS account id is 12 digits",
    ],
  ])("%s", (_what, declaration, issue) => {
    expect(issuesOf(declaration).join("\n")).toContain(issue);
  });
});
