/** Requests against the service's own model: what it calls valid passes, everything else is refused. */
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { AwsError } from "../../local/sagemaker/errors.js";
import type { Members } from "../../local/sagemaker/json.js";
import { loadServiceModels, shapeOf } from "../../local/sagemaker/model.js";
import type { ServiceModel, ServiceModels } from "../../local/sagemaker/model.js";
import { compile } from "../../local/sagemaker/patterns.js";
import { validate } from "../../local/sagemaker/validate.js";
import { setting } from "./cloud.js";
import { invalidRequest, validRequest } from "./model-arbitrary.js";

let models: ServiceModels;
let model: ServiceModel;
beforeAll(async () => {
  models = await loadServiceModels(setting("MODELFLEET_TEST_PYTHON"));
  model = models.sagemaker;
});

/** Operations whose requests hold everything that shapes can say. */
const inputs = [
  "CreateTrainingJobRequest",
  "ListTrainingJobsRequest",
  "CreateModelInput",
  "CreateModelPackageInput",
  "UpdateModelPackageInput",
  "CreateEndpointConfigInput",
  "UpdateEndpointInput",
  "CreateHyperParameterTuningJobRequest",
  "CreateProcessingJobRequest",
  "CreateTransformJobRequest",
  "AddTagsInput",
];

function refusal(shape: string, request: unknown): AwsError | undefined {
  try {
    validate(model, shape, request);
    return undefined;
  } catch (error) {
    if (error instanceof AwsError) return error;
    throw error;
  }
}

describe.each(inputs)("%s", (shape) => {
  test("every request that the model calls valid passes unchanged", () => {
    fc.assert(
      fc.property(validRequest(model, shape), (request) => {
        expect(validate(model, shape, request)).toEqual(request);
      }),
      { numRuns: 15 },
    );
  });

  test("every request with one thing that the model forbids is refused, by its kind of error", () => {
    fc.assert(
      fc.property(invalidRequest(model, shape), ({ request, code }) => {
        expect(refusal(shape, request)?.code).toBe(code);
      }),
      { numRuns: 40 },
    );
  });
});

test("every pattern of the three models compiles", () => {
  const patterns = [models.sagemaker, models.runtime, models.sts].flatMap(({ shapes }) =>
    Object.values(shapes).flatMap(({ pattern }) => (pattern === undefined ? [] : [pattern])),
  );
  expect(patterns.filter((pattern) => compile(pattern) === undefined)).toEqual([]);
  expect(patterns.length).toBeGreaterThan(400);
});

test("unknown members and nulls are left out, as if nobody had sent them", () => {
  const request = { ModelName: "m", Colour: "green", Tags: null };
  expect(validate(model, "CreateModelInput", request)).toEqual({ ModelName: "m" });
});

describe("the words are AWS's", () => {
  const message = (shape: string, request: Members) => refusal(shape, request)?.message;

  test("for a missing member", () => {
    expect(message("DescribeModelInput", {})).toBe(
      "1 validation error detected: Value null at 'modelName' failed to satisfy constraint: Member must not be null",
    );
  });

  test("for a pattern", () => {
    expect(message("DescribeTrainingJobRequest", { TrainingJobName: "my_job" })).toBe(
      "1 validation error detected: Value 'my_job' at 'trainingJobName' failed to satisfy constraint: " +
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
    );
  });

  test("for several errors at once, in lists and maps", () => {
    const request = {
      EndpointConfigName: "c",
      ProductionVariants: [{ VariantName: "v", InitialInstanceCount: 0, InstanceType: "big" }],
      Tags: [{ Key: "", Value: "x" }],
    };
    const text = message("CreateEndpointConfigInput", request) ?? "";
    expect(text).toMatch(/^3 validation errors detected: /);
    expect(text).toContain(
      "Value '0' at 'productionVariants.1.member.initialInstanceCount' failed to satisfy constraint: " +
        "Member must have value greater than or equal to 1",
    );
    expect(text).toContain(
      "Value 'big' at 'productionVariants.1.member.instanceType' failed to satisfy constraint: " +
        "Member must satisfy enum value set: [ml.t2.medium, ",
    );
    expect(text).toContain(
      "at 'tags.1.member.key' failed to satisfy constraint: Member must have length",
    );
  });

  test("for keys and values of a map", () => {
    const HyperParameters = { ["k".repeat(257)]: "v", long: "v".repeat(2501) };
    const text = message("CreateTrainingJobRequest", {
      ...{ TrainingJobName: "j", HyperParameters },
      RoleArn: "arn:aws:iam::111111111111:role/x",
      OutputDataConfig: { S3OutputPath: "s3://b/o" },
    });
    expect(text).toContain(
      "at 'hyperParameters' failed to satisfy constraint: Map keys must satisfy constraint: " +
        "[Member must have length less than or equal to 256]",
    );
    expect(text).toContain(
      "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: " +
        "[Member must have length less than or equal to 2500]",
    );
  });

  test("for a number where a string belongs", () => {
    const error = refusal("DescribeModelInput", { ModelName: 7 });
    expect(error?.code).toBe("SerializationException");
    expect(error?.message).toBe("NUMBER_VALUE can not be converted to a String");
  });
});

test("names of 63 characters pass and of 64 do not, although repeated hyphens match the pattern", () => {
  const nameOf = (length: number) => `a${"-".repeat(length - 2)}b`;
  const check = (length: number) =>
    refusal("DescribeTrainingJobRequest", { TrainingJobName: nameOf(length) })?.code;
  expect([check(63), check(64)]).toEqual([undefined, "ValidationException"]);
});

test("a list that may not be empty is refused when it is", () => {
  expect(shapeOf(model, "InputDataConfig").min).toBe(1);
  const error = refusal("CreateTrainingJobRequest", {
    ...{ TrainingJobName: "j", InputDataConfig: [] },
    RoleArn: "arn:aws:iam::111111111111:role/x",
    OutputDataConfig: { S3OutputPath: "s3://b/o" },
  });
  expect(error?.message).toContain("Value '[]' at 'inputDataConfig' failed to satisfy constraint");
});
