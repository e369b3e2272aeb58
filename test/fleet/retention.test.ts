/** What retention takes, and never takes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  isRetired,
  refusalOfRetirement,
  retentionOf,
  versionsToCollect,
  type Attendance,
  type VersionStanding,
} from "../../fleet/retention.js";
import { checkRetention, retentionSchema } from "../../fleet/retention.schema.js";
import { servedCopy, storedPart } from "../../fleet/stored-part.js";
import { fleetSpecSchema } from "../../fleet/spec.schema.js";
import type { RecordedState } from "../../fleet/way-back.js";
import { aFleetSpec } from "../workflows/builders.js";

const DAY = 86_400_000;
const NOW = 1000 * DAY;
const RETENTION = { versions: 2, artifactsSeconds: 180 * 86_400 };
const STATES = [
  ...["pending", "approved", "denied", "serving", "rejected", "retired", "superseded", "expired"],
  "withdrawn",
] as const satisfies readonly string[] as readonly RecordedState[];

const aVersion = (version: number, changes: Partial<VersionStanding> = {}): VersionStanding => ({
  ...{ version, state: "retired", changedAt: NOW - 200 * DAY, isWanted: false },
  stages: [{ stage: "prod", serves: false, verified: true }],
  ...changes,
});

const serving = (version: number, stage = "prod"): VersionStanding =>
  aVersion(version, { state: "serving", stages: [{ stage, serves: true, verified: true }] });

const collect = (
  versions: readonly VersionStanding[],
  { isLeaving = false, isGone = false } = {},
): number[] => versionsToCollect({ versions, isLeaving, isGone }, RETENTION, NOW);

test("what serves stays, with as many versions to go back to as are declared", () => {
  const old = [1, 2, 3, 4].map((version) => aVersion(version));
  expect(collect([...old, serving(5)])).toEqual([1, 2]);
});

test("a stage that lags behind keeps its own ways back", () => {
  const served = (version: number, ...stages: [string, boolean][]) =>
    aVersion(version, {
      state: stages.some(([, serves]) => serves) ? "serving" : "retired",
      stages: stages.map(([stage, serves]) => ({ stage, serves, verified: true })),
    });
  const versions = [
    served(1, ["sandbox", false], ["prod", false]),
    served(2, ["sandbox", false], ["prod", false]),
    served(3, ["sandbox", false], ["prod", false]),
    served(4, ["sandbox", false], ["prod", true]),
    ...[5, 6, 7].map((version) => served(version, ["sandbox", false])),
    served(8, ["sandbox", true]),
  ];
  expect(collect(versions)).toEqual([1, 5]);
});

test.each<[string, Partial<VersionStanding>]>([
  ["waits for a decision", { state: "pending" }],
  ["is on its way, or a cycle that runs needs it", { isWanted: true }],
  ["was needed lately", { changedAt: NOW - 179 * DAY }],
])("one that %s stays", (_what, changes) => {
  const others = [2, 3, 4].map((version) => aVersion(version));
  expect(collect([aVersion(1), ...others, serving(5)])).toContain(1);
  expect(collect([aVersion(1, changes), ...others, serving(5)])).not.toContain(1);
});

test("what was never approved goes when it is old", () => {
  const states = ["denied", "rejected", "superseded", "expired", "withdrawn"] as const;
  const versions = states.map((state, place) => aVersion(place + 1, { state, stages: [] }));
  expect(collect([...versions, serving(9)])).toEqual([1, 2, 3, 4, 5]);
});

test("nothing goes while one of the customer's versions is being withdrawn", () => {
  const versions = [...[1, 2, 3, 4].map((version) => aVersion(version)), serving(5)];
  expect(collect(versions, { isLeaving: true })).toEqual([]);
});

test("of a customer who has left, all goes that is old: there is nobody to go back to it", () => {
  const versions = [aVersion(1), aVersion(2), aVersion(3, { changedAt: NOW - DAY })];
  expect(collect(versions)).toEqual([]);
  expect(collect(versions, { isGone: true })).toEqual([1, 2]);
});

const PRESENT = { isLeaving: false, isGone: false };

const anyVersions = fc
  .array(
    fc.record({
      state: fc.constantFrom(...STATES),
      changedAt: fc.integer({ min: NOW - 400 * DAY, max: NOW }),
      isWanted: fc.boolean(),
      stages: fc.uniqueArray(
        fc.record({
          stage: fc.constantFrom("sandbox", "qa", "prod"),
          serves: fc.boolean(),
          verified: fc.boolean(),
        }),
        { selector: ({ stage }) => stage },
      ),
    }),
    { maxLength: 12 },
  )
  .map((all): VersionStanding[] => all.map((one, place) => ({ ...one, version: place + 1 })));

const isApproved = ({ state }: VersionStanding): boolean =>
  state === "approved" || state === "retired" || state === "serving";

test("whatever the ledger says: nothing that serves, waits, is wanted or young, and no way back", () => {
  fc.assert(
    fc.property(anyVersions, fc.integer({ min: 1, max: 5 }), (versions, keep) => {
      const retention = { ...RETENTION, versions: keep };
      const going = new Set(versionsToCollect({ versions, ...PRESENT }, retention, NOW));
      const gone = versions.filter(({ version }) => going.has(version));
      for (const { state, isWanted, changedAt, stages } of gone) {
        expect(state === "pending" || state === "serving" || isWanted).toBe(false);
        expect(stages.some(({ serves }) => serves)).toBe(false);
        expect(NOW - changedAt).toBeGreaterThanOrEqual(180 * DAY);
      }
      for (const name of ["sandbox", "qa", "prod"]) {
        const ways = versions.filter(
          (one) =>
            isApproved(one) &&
            one.stages.some(({ stage, serves, verified }) => stage === name && verified && !serves),
        );
        const left = ways.filter(({ version }) => !going.has(version));
        expect(left.length).toBeGreaterThanOrEqual(Math.min(keep, ways.length));
        // And they are the newest: whatever went is older than those.
        const newest = ways.slice(-keep);
        expect(newest.some(({ version }) => going.has(version))).toBe(false);
      }
    }),
  );
});

test("what is kept longer is kept: a longer retention takes nothing more", () => {
  fc.assert(
    fc.property(anyVersions, fc.integer({ min: 1, max: 300 }), (versions, days) => {
      const take = (artifactsSeconds: number) =>
        versionsToCollect({ versions, ...PRESENT }, { versions: 1, artifactsSeconds }, NOW);
      const short = take(days * 86_400);
      expect(take((days + 50) * 86_400).every((version) => short.includes(version))).toBe(true);
    }),
  );
});

describe("declared", () => {
  const stage = (name: string) => ({ name, account: "111111111111" });
  const check = (retention: object, parts: object = {}): string[] => {
    const messages: string[] = [];
    const context = { addIssue: (issue: { message: string }) => messages.push(issue.message) };
    const whole = { stages: [{ name: "a" }, { name: "b", lag: "7d" }], ...parts };
    checkRetention({ ...whole, retention: retentionSchema.parse(retention) }, context as never);
    return messages;
  };

  test("an artifact must outlast the way through approval and lags", () => {
    expect(check({ artifacts: "9d" }, { approval: { expireAfter: "2d" } })).toEqual([]);
    expect(check({ artifacts: "8d" }, { approval: { expireAfter: "2d" } })).toEqual([
      expect.stringMatching(/^is 8d, and a version may take 9d .* so declare at least 9d$/),
    ]);
  });

  test("is refused by the fleet file's reader, with the field", () => {
    const spec = aFleetSpec({ stages: [stage("qa"), { ...stage("prod"), lag: "7d" }] });
    const read = (retention: object) => fleetSpecSchema.safeParse({ ...spec, retention });
    expect(read({ artifacts: "7d" }).success).toBe(true);
    const misspelt = read({ data: "1d" }).error?.issues ?? [];
    expect(misspelt.map(({ message }) => message)).toEqual(['Unrecognized key: "data"']);
    const [issue] = read({ artifacts: "6d" }).error?.issues ?? [];
    expect(issue?.path).toEqual(["retention", "artifacts"]);
    expect(issue?.message).toContain("so declare at least 7d");
  });

  test("a fleet that declares nothing keeps for as long as its way takes", () => {
    expect(retentionOf({ stages: [{}] })).toMatchObject({ artifactsSeconds: 180 * 86_400 });
    expect(retentionOf({ stages: [{}, { lag: "300d" }] })).toMatchObject({
      ...{
        artifactsSeconds: 300 * 86_400,
        datasetsSeconds: 90 * 86_400,
        versions: 3,
        retire: null,
      },
    });
  });

  test("without a version to go back to there is no rollback", () => {
    const { success, error } = retentionSchema.safeParse({ versions: 0 });
    expect(success).toBe(false);
    expect(error?.issues[0]?.message).toBe("at least 1: a rollback needs a version to go back to");
  });
});

describe("customers that have left", () => {
  const absent = (days: number, isBusy = false) => ({
    ...{ customerKey: "a", absentSince: NOW - days * DAY, isBusy },
  });
  const refusal = (changes: Partial<Attendance>) =>
    refusalOfRetirement({ served: 50, newestRows: 1000, absent: 0, ...changes }, { atMost: 0.1 });

  test("are retired when they have been missing for the declared time, and nothing is under way", () => {
    const policy = { afterSeconds: 90 * 86_400 };
    expect(isRetired(absent(90), policy, NOW)).toBe(true);
    expect(isRetired(absent(89), policy, NOW)).toBe(false);
    expect(isRetired(absent(90, true), policy, NOW)).toBe(false);
  });

  test("are too many at a time: the export is broken, and nobody is retired", () => {
    expect(refusal({ absent: 5 })).toBeNull();
    expect(refusal({ absent: 6 })).toBe(
      "6 of 50 customers with a model are missing from the newest export, and retention.retire.atMost 0.1 allows 5: " +
        "see whether the export is broken; if they have left, raise atMost",
    );
  });

  test("of a small fleet one may leave, but not by an export without rows", () => {
    expect(refusal({ served: 2, absent: 1 })).toBeNull();
    expect(refusal({ served: 1, absent: 1, newestRows: 0 })).toMatch(/no rows at all/);
  });
});

test.each([
  ["data/a/train/data.csv", { kind: "dataset", customerKey: "a", byJob: false }],
  ["customers/a.csv", { kind: "dataset", customerKey: "a", byJob: false }],
  [
    "prepared/0a1b2c3d4e5f/data/a/test/data.csv",
    { kind: "dataset", customerKey: "a", byJob: true },
  ],
  ["prepared/0a1b2c3d4e5f/customers/a.csv", { kind: "dataset", customerKey: "a", byJob: true }],
  [
    "prepared/0a1b2c3d4e5f/schema/columns.json",
    { kind: "dataset", customerKey: null, byJob: true },
  ],
  [
    "transformed/0a1b2c3d4e5f/data/a/train/data.csv.out",
    { kind: "dataset", customerKey: "a", byJob: true },
  ],
  [
    "transformed/0a1b2c3d4e5f/champions/g1/a/test/x",
    { kind: "dataset", customerKey: "a", byJob: true },
  ],
  ["schema/columns.json", { kind: "dataset", customerKey: null, byJob: false }],
  ["manifest.json", { kind: "dataset", customerKey: null, byJob: false }],
  [
    "cohort-inputs/0a1b2c3d4e5f/champions.json",
    { kind: "dataset", customerKey: null, byJob: false },
  ],
  [
    "output/mf-x-a-1/output/model.tar.gz",
    { kind: "artifact", customerKey: null, jobName: "mf-x-a-1" },
  ],
  ["cohort/0a1b2c3d4e5f/a.tar.gz", { kind: "artifact", customerKey: "a", jobName: null }],
  ["cohort/0a1b2c3d4e5f/a.json", { kind: "artifact", customerKey: "a", jobName: null }],
  ["evaluations/a.json", { kind: "artifact", customerKey: "a", jobName: null }],
  ["evaluations/COHORT.json", { kind: "artifact", customerKey: null, jobName: null }],
  ["notes-of-somebody.txt", null],
])("%s of a cycle", (path, part) => {
  expect(storedPart("x", "2013-07-01", `fleets/x/cycles/2013-07-01/${path}`)).toEqual(part);
  expect(storedPart("x", "2013-08-01", `fleets/x/cycles/2013-07-01/${path}`)).toBeNull();
});

test.each([
  ["models/a/v000012.tar.gz", { customerKey: "a", version: 12 }],
  ["g2/models/a/v000012.tar.gz", { customerKey: "a", version: 12 }],
  ["models/a.tar.gz", null],
  ["pointers/a.json", null],
])("%s of a stage", (path, copy) => {
  expect(servedCopy("x", "prod", `fleets/x/stages/prod/${path}`)).toEqual(copy);
  expect(servedCopy("x", "qa", `fleets/x/stages/prod/${path}`)).toBeNull();
});
