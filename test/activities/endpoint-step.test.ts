import { expect, test } from "vitest";
import { nextStep } from "../../activities/endpoint-step.js";

const accepts = (name: string) => name === "new";
const untouched = { accepts, seenSinceUpdate: null };
const updated = (times: number) => ({ accepts, seenSinceUpdate: times });
const endpoint = (EndpointStatus: string, EndpointConfigName = "old", FailureReason?: string) => ({
  EndpointStatus,
  EndpointConfigName,
  FailureReason,
});

test.each([
  ["there is none", undefined, untouched, "create"],
  ["it serves on the wanted config", endpoint("InService", "new"), untouched, "done"],
  ["it serves on another config", endpoint("InService"), untouched, "update"],
  ["it is being created", endpoint("Creating"), untouched, "wait"],
  ["SageMaker maintains it", endpoint("SystemUpdating"), untouched, "wait"],
  ["it is being deleted", endpoint("Deleting"), untouched, "wait"],
  ["its status is new to us", endpoint("Defrosting"), untouched, "wait"],
  ["the update has arrived", endpoint("InService", "new"), updated(1), "done"],
  ["the answer may be from before the update", endpoint("InService"), updated(2), "wait"],
  ["it is back without a reason", endpoint("InService"), updated(3), "rolled-back"],
  ["it is back with a reason", endpoint("InService", "old", "no"), updated(1), "rolled-back"],
  ["it failed", endpoint("Failed"), untouched, "stuck"],
  ["its way back failed", endpoint("UpdateRollbackFailed"), updated(1), "stuck"],
])("of an endpoint, when %s", (_when, view, wish, kind) => {
  expect(nextStep(view, wish).kind).toBe(kind);
});
