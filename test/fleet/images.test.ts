/** Which image a container runs: the user's, or SageMaker's of the region. */
import { expect, test } from "vitest";
import { containerImage } from "../../fleet/images.js";

test.each([
  // As image_uris.retrieve of the SageMaker Python SDK 2.257.7 says.
  ["xgboost", "us-east-1", "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"],
  [
    "scikit-learn",
    "eu-central-1",
    "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
  ],
  [
    "scikit-learn",
    "cn-north-1",
    "450853457545.dkr.ecr.cn-north-1.amazonaws.com.cn/sagemaker-scikit-learn:1.2-1-cpu-py3",
  ],
] as const)("of %s in %s", (framework, region, image) => {
  expect(containerImage({ framework }, region)).toBe(image);
});

test("of the user's choice comes before the table, wherever it is", () => {
  const image = "123456789012.dkr.ecr.mars-north-1.amazonaws.com/ours:3";
  expect(containerImage({ framework: "xgboost", image }, "mars-north-1")).toBe(image);
});

test("of a region that the table does not have is refused, with what to do", () => {
  expect(() => containerImage({ framework: "xgboost" }, "mars-north-1")).toThrow(
    expect.objectContaining({
      message: "no SageMaker xgboost image is known for region mars-north-1",
      hint: "name one in the fleet file as `image`",
    }),
  );
});
