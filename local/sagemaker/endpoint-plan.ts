/** What an endpoint configuration comes down to: the containers of its variants. */
import { arnOf, keyOf } from "./arns.js";
import type { Scope } from "./arns.js";
import type { Deployment, Documents, InstanceCounts, VariantCapacity } from "./documents.js";
import { serverlessConcurrency, serverlessEndpoints } from "./quotas.js";
import type { ContainerPlan, ServerlessPlan, VariantPlan } from "./serving-plan.js";
import type { Store } from "./store.js";

type Container = NonNullable<Documents["model"]["PrimaryContainer"]>;
type VariantSummary = NonNullable<Documents["endpoint"]["ProductionVariants"]>[number];

/** Throws an Error whose message is the endpoint's FailureReason. */
export async function planVariants(
  store: Store,
  scope: Scope,
  { config, capacities }: Deployment,
): Promise<VariantPlan[]> {
  const plans: VariantPlan[] = [];
  for (const variant of config.ProductionVariants ?? []) {
    const { VariantName, ModelName = "", InitialVariantWeight = 1 } = variant;
    const key = keyOf(scope, "model", ModelName);
    const model = await store.find(key);
    if (model === undefined) throw new Error(`Could not find model "${arnOf(key)}".`);
    const { PrimaryContainer, Containers = [] } = model.document;
    const containers = PrimaryContainer === undefined ? Containers : [PrimaryContainer];
    const own = capacityOf(capacities, VariantName);
    plans.push({
      name: VariantName,
      weight: own?.weight ?? InitialVariantWeight,
      instances: own?.instances ?? variant.InitialInstanceCount,
      serverless: serverlessPlan(variant.ServerlessConfig),
      execution: model.document.InferenceExecutionConfig?.Mode,
      containers: await Promise.all(
        containers.map(async (each) => ({
          ...(await planContainer(store, scope, each)),
          role: model.document.ExecutionRoleArn,
        })),
      ),
    });
  }
  return plans;
}

type ServerlessConfig = NonNullable<VariantSummary["CurrentServerlessConfig"]>;

function serverlessPlan(config: ServerlessConfig | undefined): ServerlessPlan | undefined {
  if (config === undefined) return undefined;
  return {
    memoryMb: config.MemorySizeInMB,
    maxConcurrency: config.MaxConcurrency,
    provisionedConcurrency: config.ProvisionedConcurrency ?? 0,
  };
}

async function planContainer(
  store: Store,
  scope: Scope,
  container: Container,
): Promise<ContainerPlan> {
  const { Environment: environment = {}, Mode: mode = "SingleModel", ModelPackageName } = container;
  const shared = {
    mode,
    hostname: container.ContainerHostname,
    cachesModels: container.MultiModelConfig?.ModelCacheSetting !== "Disabled",
  };
  if (ModelPackageName === undefined)
    return { ...shared, image: container.Image ?? "", modelDataUrl: urlOf(container), environment };
  const packaged = await packagedContainer(store, scope, ModelPackageName);
  return {
    ...shared,
    image: packaged.Image ?? "",
    modelDataUrl: urlOf(packaged),
    environment: { ...packaged.Environment, ...environment },
  };
}

/** A version that nobody approved is not deployed. */
async function packagedContainer(store: Store, scope: Scope, name: string) {
  const row = await store.find(keyOf(scope, "model-package", name));
  if (row === undefined) throw new Error(`Model package ${name} does not exist.`);
  const { ModelApprovalStatus, ModelPackageVersion, InferenceSpecification } = row.document;
  if (ModelPackageVersion !== undefined && ModelApprovalStatus !== "Approved")
    throw new Error(
      `Model package ${row.arn} cannot be deployed: its approval status is ${ModelApprovalStatus ?? "unknown"}.`,
    );
  const container = InferenceSpecification?.Containers?.[0];
  if (container === undefined) throw new Error(`Model package ${row.arn} has no container.`);
  return container;
}

interface Artifact {
  readonly ModelDataUrl?: string;
  readonly ModelDataSource?: { readonly S3DataSource?: { readonly S3Uri: string } };
}

const urlOf = ({ ModelDataUrl, ModelDataSource }: Artifact) =>
  ModelDataUrl ?? ModelDataSource?.S3DataSource?.S3Uri;

/** DescribeEndpoint's view of the variants once they are deployed. */
export function summarizeVariants({ config, capacities }: Deployment): VariantSummary[] {
  return (config.ProductionVariants ?? []).map((variant) => {
    const own = capacityOf(capacities, variant.VariantName);
    const weight = own?.weight ?? variant.InitialVariantWeight ?? 1;
    const count = own?.instances ?? variant.InitialInstanceCount;
    const { ServerlessConfig: serverless } = variant;
    return {
      VariantName: variant.VariantName,
      CurrentWeight: weight,
      DesiredWeight: weight,
      ...(count !== undefined && { CurrentInstanceCount: count, DesiredInstanceCount: count }),
      ...(serverless && {
        CurrentServerlessConfig: serverless,
        DesiredServerlessConfig: serverless,
      }),
    };
  });
}

/** What the account's quotas count: instances by type, and what stands for serverless variants. */
export function instancesOf({ config, capacities }: Deployment): InstanceCounts {
  const counts: Record<string, number> = {};
  for (const variant of config.ProductionVariants ?? []) {
    const { VariantName, InstanceType, InitialInstanceCount = 1, ServerlessConfig } = variant;
    if (ServerlessConfig !== undefined) {
      counts[serverlessEndpoints] = 1;
      counts[serverlessConcurrency] = ServerlessConfig.MaxConcurrency;
    }
    if (InstanceType === undefined) continue;
    const count = capacityOf(capacities, VariantName)?.instances ?? InitialInstanceCount;
    counts[InstanceType] = (counts[InstanceType] ?? 0) + count;
  }
  return counts;
}

const capacityOf = (capacities: readonly VariantCapacity[], name: string) =>
  capacities.find(({ variant }) => variant === name);
