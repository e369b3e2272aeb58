/** Regions without images are told before anything is started. */
import { expect, test } from "vitest";
import { imageIssues, requireImages } from "../../client/image-check.js";
import { aFleetSpec } from "../workflows/builders.js";

const mars = { AWS_REGION: "mars-north-1" };

test("a region that SageMaker's images are not known for is told with the field that helps", () => {
  expect(imageIssues(aFleetSpec(), mars)).toEqual([
    {
      field: "training.image",
      problem: "no SageMaker xgboost image is known for region mars-north-1",
      hint: "name one in the fleet file as `image`",
    },
  ]);
  const loaded = { path: "/fleet.ts", spec: aFleetSpec(), sources: [] };
  expect(() => requireImages(loaded, mars)).toThrow("/fleet.ts has an error");
});

test("nothing is wrong with an image of one's own, a known region, or none yet", () => {
  const spec = aFleetSpec();
  const own = { ...spec, training: { ...spec.training, image: "registry/ours:1" } };
  expect(imageIssues(own, mars)).toEqual([]);
  expect(imageIssues(spec, { AWS_REGION: "eu-west-1" })).toEqual([]);
  expect(imageIssues(spec, {})).toEqual([]);
});
