/** The no-op work as a Temporal workflow: six activities that do nothing, one after the other. */
import { proxyActivities } from "@temporalio/workflow";

interface StepActivities {
  step(number: number): Promise<number>;
}

const STEPS = 6;
const { step } = proxyActivities<StepActivities>({ startToCloseTimeout: "1m" });

export async function customerSteps(): Promise<number> {
  let sum = 0;
  for (let number = 0; number < STEPS; number++) sum += await step(number);
  return sum;
}
