/** Names and keys: safe wherever they go, distinct for what is distinct, the same for what is the same. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../fleet/canonical-json.js";
import { SpecError } from "../../fleet/errors.js";
import { LIMITS } from "../../fleet/limits.js";
import {
  customerKey,
  cycleId,
  contentConfigName,
  endpointConfigName,
  endpointName,
  holdsSame,
  isOwnConfig,
  isOwnModel,
  isPreprocessorModel,
  modelName,
  modelPackageGroupName,
  namingOf,
  pipelineEndpointName,
  preprocessorModelName,
  requestHash,
  s3Keys,
  targetModel,
  trainingJobName,
  tuningJobName,
} from "../../fleet/names.js";

/** AWS API model: names of training jobs, endpoints, configs, groups. */
const AWS_NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/;

const fleets = fc
  .stringMatching(/^[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,8}){0,2}$/)
  .filter((f) => f.length <= 24);
const stages = fc.stringMatching(/^[a-z][a-z0-9]{0,15}$/).filter((stage) => !/^g\d+$/.test(stage));
const customers = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.string({ unit: "grapheme", maxLength: 60 }),
  fc.stringMatching(/^[a-z0-9-]{1,60}$/),
  fc.constantFrom("../../etc", "a b/c?*", "'; drop table t; --", "…", "😀", "-", "", "c", "a--b"),
);
const keys = customers.map(customerKey);
const cycles = fc
  .date({ min: new Date("1970-01-01"), max: new Date("2999-12-31"), noInvalidDate: true })
  .map((date) => cycleId(date.toISOString()));

describe("a customer's key", () => {
  test.each([
    ["xna", "xna"],
    ["city-42", "city-42"],
    ["XNA", "xna-714e0a639680"],
    ["São Paulo", "sao-paulo-f00fd81daee5"],
    ["../../etc", "etc-74ccf3c5b4c1"],
    ["😀", "c-f0443a342c5e"],
    // Looks like a hashed key, so it is hashed itself.
    ["abc-0123456789ab", "abc-0123456789ab-57f08425b221"],
  ])("of %j is %s", (customer, key) => {
    expect(customerKey(customer)).toBe(key);
  });

  test("is safe in S3 keys, AWS names and workflow ids, whatever the warehouse holds", () => {
    fc.assert(
      fc.property(customers, (customer) => {
        const key = customerKey(customer);
        expect(key).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
        expect(key.length).toBeLessThanOrEqual(LIMITS.customerKeyLength);
        expect(customerKey(customer)).toBe(key);
      }),
    );
  });

  test("differs for customers that differ", () => {
    fc.assert(
      fc.property(customers, customers, (one, other) => {
        fc.pre(one !== other);
        expect(customerKey(one)).not.toBe(customerKey(other));
      }),
    );
  });

  test("is never the key of another customer's key", () => {
    fc.assert(
      fc.property(customers, (customer) => {
        const key = customerKey(customer);
        fc.pre(key !== customer);
        expect(customerKey(key)).not.toBe(key);
      }),
    );
  });

  test.each([
    ["differs in case", "ATL", "atl"],
    ["differs in accents", "Orléans", "Orleans"],
    ["differs beyond the readable part", "x".repeat(256), "x".repeat(255)],
    ["differs in normal form", "e\u0301", "\u00e9"],
  ])("%s: distinct", (_how, one, other) => {
    expect(customerKey(one)).not.toBe(customerKey(other));
  });
});

describe("a cycle's id", () => {
  test.each([
    ["2013-07-01", "2013-07-01"],
    ["2013-07-01T00:00:59Z", "2013-07-01"],
    ["2013-07-01T03:00:00Z", "2013-07-01t0300"],
    ["2013-07-01T00:30:00+02:00", "2013-06-30t2230"],
  ])("for %s is %s", (at, id) => {
    expect(cycleId(at)).toBe(id);
  });

  test("of a testing run is another than that of the real one", () => {
    expect(cycleId("2013-07-01", { testing: true })).toBe("2013-07-01-testing");
    expect(cycleId("2013-07-01T03:00:00Z", { testing: true })).toBe("2013-07-01t0300-testing");
  });

  test.each(["", "July", "2013-02-30", "2013-07-01T03:00", "2013-7-1", "20130701"])(
    "is refused for %j, which is no time",
    (at) => {
      expect(() => cycleId(at)).toThrow(SpecError);
    },
  );
});

describe("names in AWS", () => {
  const jobs = fc.record({
    fleet: fleets,
    customerKey: keys,
    cycle: cycles,
    round: fc.nat({ max: 99 }),
    requestHash: fc.constantFrom("a".repeat(64), "b".repeat(64)),
  });

  test("are accepted by AWS", () => {
    fc.assert(
      fc.property(jobs, stages, (job, stage) => {
        const shared = endpointName(job.fleet, stage);
        const own = endpointName(job.fleet, stage, job.customerKey);
        const pipeline = pipelineEndpointName(job.fleet, stage, job.round + 1);
        const parts = [shared, own, pipeline].flatMap((name) => {
          const part = { endpointName: name, hash: job.requestHash };
          const at = "2026-11-21T14:30:59.999Z";
          return [endpointConfigName({ ...part, at }), contentConfigName(part), modelName(part)];
        });
        for (const name of [
          trainingJobName(job),
          modelPackageGroupName(job.fleet, job.customerKey),
          ...[shared, own, pipeline, ...parts],
        ]) {
          expect(name).toMatch(AWS_NAME);
          expect(name.length).toBeLessThanOrEqual(LIMITS.jobNameLength);
        }
      }),
    );
  });

  test("of jobs are the same for the same work, and differ when anything differs", () => {
    fc.assert(
      fc.property(jobs, jobs, (one, other) => {
        expect(trainingJobName({ ...one })).toBe(trainingJobName(one));
        fc.pre(canonicalJson(one) !== canonicalJson(other));
        expect(trainingJobName(one)).not.toBe(trainingJobName(other));
      }),
    );
  });

  test("of jobs tell fleet, customer, cycle and round to a person", () => {
    const name = trainingJobName({
      fleet: "flights",
      customerKey: "city-42",
      cycle: "2013-07-01",
      round: 1,
      requestHash: "0",
    });
    expect(name).toMatch(/^mf-flights-city-42-2013-07-01-1-[0-9a-f]{12}$/);
  });

  test("of tuning jobs leave room for those of their training jobs, and are as distinct", () => {
    fc.assert(
      fc.property(jobs, jobs, (one, other) => {
        const name = tuningJobName(one);
        expect(name).toMatch(/^[a-z0-9](-*[a-z0-9]){0,31}$/);
        expect(name.length).toBeLessThanOrEqual(LIMITS.tuningJobNameLength);
        expect(tuningJobName({ ...one })).toBe(name);
        // SageMaker names each `<tuning job>-<number>-<8 hex>`.
        const trial = `${name}-1000-058a0663`;
        expect(trial).toMatch(AWS_NAME);
        expect(trial.length).toBeLessThanOrEqual(LIMITS.jobNameLength);
        fc.pre(canonicalJson(one) !== canonicalJson(other));
        expect(tuningJobName(other)).not.toBe(name);
        expect(trial.startsWith(`${tuningJobName(other)}-`)).toBe(false);
      }),
    );
  });

  test("of tuning jobs tell fleet and customer to a person, as far as they fit", () => {
    const work = { cycle: "2013-07-01", round: 0, requestHash: "0" };
    const name = tuningJobName({ fleet: "flight-delays", customerKey: "city-42", ...work });
    expect(name).toMatch(/^mf-flight-d-city-42-[0-9a-f]{12}$/);
  });

  test("of groups differ for every pair of fleet and customer", () => {
    expect(modelPackageGroupName("a-b", "c")).not.toBe(modelPackageGroupName("a", "b-c"));
    fc.assert(
      fc.property(fleets, keys, fleets, keys, (fleet, key, otherFleet, otherKey) => {
        fc.pre(fleet !== otherFleet || key !== otherKey);
        expect(modelPackageGroupName(fleet, key)).not.toBe(
          modelPackageGroupName(otherFleet, otherKey),
        );
      }),
    );
  });

  test("of endpoint configs tell when they were made, and whether they hold the same", () => {
    const key = { endpointName: "flights-qa", hash: "abcdef0123456789" };
    const name = endpointConfigName({ ...key, at: "2026-11-21T14:30:59.999Z" });
    expect(name).toBe("flights-qa-20261121143059-abcdef");
    expect(contentConfigName(key)).toBe("flights-qa-abcdef012345");
    for (const one of [name, contentConfigName(key)]) {
      expect(holdsSame(one, key)).toBe(true);
      expect(holdsSame(one, { ...key, hash: "0bcdef0123456789" })).toBe(false);
      expect(isOwnConfig(one, "flights-qa")).toBe(true);
    }
  });

  const kinds = fc.constantFrom("shared", "own", "pipeline");
  const endpoints = fc
    .record({ kind: kinds, fleet: fleets, stage: stages, key: keys, generation: fc.nat(99) })
    .map(({ kind, fleet, stage, key, generation }) =>
      kind === "pipeline"
        ? pipelineEndpointName(fleet, stage, generation)
        : endpointName(fleet, stage, kind === "own" ? key : undefined),
    );

  test("of configs and models are nobody else's, though one endpoint's name may begin another's", () => {
    fc.assert(
      fc.property(endpoints, endpoints, (one, other) => {
        fc.pre(one !== other);
        const key = { endpointName: one, hash: "a".repeat(64) };
        const configs = [
          endpointConfigName({ ...key, at: "2026-11-21T14:30:59Z" }),
          contentConfigName(key),
        ];
        for (const name of configs) {
          expect(isOwnConfig(name, one)).toBe(true);
          expect(isOwnConfig(name, other)).toBe(false);
        }
        expect(isOwnModel(modelName(key), one)).toBe(true);
        expect(isOwnModel(modelName(key), other)).toBe(false);
      }),
    );
  });

  test("of fitted preprocessors are nobody else's, though one fleet's name may begin another's", () => {
    fc.assert(
      fc.property(fleets, fleets, fc.integer({ min: 1, max: 99 }), (one, other, generation) => {
        fc.pre(one !== other);
        const name = preprocessorModelName(one, generation, "a".repeat(64));
        expect(name).toMatch(AWS_NAME);
        expect(isPreprocessorModel(name, one)).toBe(true);
        expect(isPreprocessorModel(name, other)).toBe(false);
        const longer = preprocessorModelName(`${one}-g${generation}`, generation, "a".repeat(64));
        expect(isPreprocessorModel(longer, one)).toBe(false);
      }),
    );
  });

  test("of endpoints differ for every fleet, stage, customer and generation", () => {
    const places = fc.oneof(
      fc.record({ fleet: fleets, stage: stages }),
      fc.record({ fleet: fleets, stage: stages, key: keys }),
      fc.record({ fleet: fleets, stage: stages, generation: fc.integer({ min: 1, max: 99 }) }),
    );
    type Place = { fleet: string; stage: string; key?: string; generation?: number };
    const name = ({ fleet, stage, key, generation }: Place): string =>
      generation === undefined
        ? endpointName(fleet, stage, key)
        : pipelineEndpointName(fleet, stage, generation);
    fc.assert(
      fc.property(places, places, (one, other) => {
        fc.pre(canonicalJson(one) !== canonicalJson(other));
        expect(name(one)).not.toBe(name(other));
      }),
    );
  });

  test("of customers' endpoints say whose they are, cut where they would be too long", () => {
    expect(endpointName("flights", "qa", "city-42")).toBe("flights-qa--city-42");
    const long = endpointName("a".repeat(24), "b".repeat(16), "c".repeat(40));
    expect(long).toMatch(/^a{24}-b{16}--c{6}--[0-9a-f]{12}$/);
    expect(endpointName("a-b", "c", "d")).not.toBe(endpointName("a", "b", "c-d"));
  });
});

describe("keys in S3", () => {
  test("stay within their fleet's folder, each customer in its own", () => {
    fc.assert(
      fc.property(fleets, stages, cycles, keys, (fleet, stage, cycle, key) => {
        const all = [
          s3Keys.rows({ fleet, cycle, customerKey: key, channel: "train" }),
          s3Keys.artifact({ fleet, stage, targetModel: targetModel(key, 12) }),
          s3Keys.artifact({ fleet, stage, targetModel: targetModel(key, 12, "stable") }),
          s3Keys.pointer({ fleet, stage, customerKey: key }),
          s3Keys.manifest(fleet, cycle),
        ];
        for (const path of all) {
          expect(path).toMatch(/^[a-z0-9/.-]+$/);
          expect(path.startsWith(`fleets/${fleet}/`)).toBe(true);
          expect(path.split("/")).not.toContain("..");
          expect(path.split("/")).not.toContain("");
        }
      }),
    );
  });

  test("of one customer's channel are no prefix of another's: SageMaker reads string prefixes", () => {
    fc.assert(
      fc.property(keys, keys, (one, other) => {
        fc.pre(one !== other);
        const at = { fleet: "f", cycle: "2013-07-01", channel: "train" } as const;
        const channel = s3Keys.channel({ ...at, customerKey: one });
        expect(s3Keys.rows({ ...at, customerKey: other }).startsWith(channel)).toBe(false);
      }),
    );
  });

  test("of an artifact are the endpoint's prefix and the target model", () => {
    expect(targetModel("xna", 12)).toBe("xna/v000012.tar.gz");
    expect(targetModel("xna", 12, "stable")).toBe("xna.tar.gz");
    expect(s3Keys.artifact({ fleet: "f", stage: "s", targetModel: "xna/v000012.tar.gz" })).toBe(
      `${s3Keys.models("f", "s")}xna/v000012.tar.gz`,
    );
  });
});

test("a naming is told by the name", () => {
  fc.assert(
    fc.property(keys, fc.constantFrom("versioned" as const, "stable" as const), (key, naming) => {
      expect(namingOf(targetModel(key, 12, naming))).toBe(naming);
    }),
  );
});

describe("a request's hash", () => {
  test("does not depend on the order of keys, nor on keys that are undefined", () => {
    expect(requestHash({ a: 1, b: { c: [1, 2], d: undefined } })).toBe(
      requestHash({ b: { c: [1, 2] }, a: 1 }),
    );
  });

  test("depends on everything else", () => {
    expect(requestHash({ a: [1, 2] })).not.toBe(requestHash({ a: [2, 1] }));
    expect(requestHash({ a: "1" })).not.toBe(requestHash({ a: 1 }));
  });

  test("comes from JSON that reads back as the value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
