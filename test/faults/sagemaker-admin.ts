/** What the local SageMaker server tells of itself, and the faults it is asked to inject. */
import type { TestStack } from "../stack.js";

const url = (stack: TestStack, path: string) =>
  `${stack.environment.AWS_ENDPOINT_URL_SAGEMAKER ?? ""}/_local/${path}`;

/** Replaces all faults: `{}` ends them. */
export async function setFaults(
  stack: TestStack,
  faults: Readonly<Record<string, unknown>>,
): Promise<void> {
  const response = await fetch(url(stack, "faults"), {
    method: "PUT",
    body: JSON.stringify(faults),
  });
  if (!response.ok) throw new Error(`the server refuses the faults: ${await response.text()}`);
}

/** From now on the stack's one user, whose the worker's credentials are, may do what `policy` allows, and no more. */
export async function holdToPolicy(stack: TestStack, policy: unknown): Promise<void> {
  await setPolicies(stack, { "arn:aws:iam::111111111111:user/local": policy });
}

/** Of users and roles by their ARNs; null for what the settings say. */
export async function setPolicies(
  stack: TestStack,
  policies: Readonly<Record<string, unknown>>,
): Promise<void> {
  const response = await fetch(url(stack, "policies"), {
    method: "PUT",
    body: JSON.stringify({ policies }),
  });
  if (!response.ok) throw new Error(`the server refuses the policy: ${await response.text()}`);
}

/** Names of the fleet's training jobs, each with the number of Create calls that the server accepted. */
export const createdTrainingJobs = (stack: TestStack, fleet: string) =>
  createdJobs(stack, "CreateTrainingJob", fleet);

/** The same of its tuning jobs. */
export const createdTuningJobs = (stack: TestStack, fleet: string) =>
  createdJobs(stack, "CreateHyperParameterTuningJob", fleet);

async function createdJobs(
  stack: TestStack,
  operation: string,
  fleet: string,
): Promise<[string, number][]> {
  const response = await fetch(url(stack, `calls?operation=${operation}`));
  const calls = (await response.json()) as Record<string, number>;
  return Object.entries(calls).filter(([name]) => name.startsWith(`mf-${fleet}-site`));
}
