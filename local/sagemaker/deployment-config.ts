/** What AWS checks of a deployment configuration beyond its shape. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import { validationError } from "./errors.js";
import type { Wire } from "./operations.js";

type DeploymentConfig = Wire<sagemaker.DeploymentConfig>;

export function checkDeploymentConfig(config: DeploymentConfig | undefined): void {
  const { BlueGreenUpdatePolicy: blueGreen, RollingUpdatePolicy: rolling } = config ?? {};
  if (blueGreen !== undefined && rolling !== undefined)
    throw validationError(
      "Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be given.",
    );
  if (blueGreen === undefined) return;
  const { Type, WaitIntervalInSeconds, CanarySize, LinearStepSize } =
    blueGreen.TrafficRoutingConfiguration;
  if (Type === "CANARY" && CanarySize === undefined)
    throw validationError("Traffic routing of type CANARY needs CanarySize.");
  if (Type === "LINEAR" && LinearStepSize === undefined)
    throw validationError("Traffic routing of type LINEAR needs LinearStepSize.");
  checkPercent("CanarySize", CanarySize, { from: 1, to: 50 });
  checkPercent("LinearStepSize", LinearStepSize, { from: 10, to: 50 });
  const waits = WaitIntervalInSeconds + (blueGreen.TerminationWaitInSeconds ?? 0);
  const { MaximumExecutionTimeoutInSeconds: limit } = blueGreen;
  if (limit !== undefined && limit <= waits)
    throw validationError(
      `MaximumExecutionTimeoutInSeconds ${limit} must exceed the sum of the waits, ${waits}.`,
    );
}

function checkPercent(
  name: string,
  size: Wire<sagemaker.CapacitySize> | undefined,
  { from, to }: { from: number; to: number },
): void {
  if (size === undefined || size.Type !== "CAPACITY_PERCENT") return;
  if (size.Value < from || size.Value > to)
    throw validationError(`${name} must be ${from} to ${to} percent of the capacity.`);
}
