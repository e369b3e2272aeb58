/** The endpoint operations. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import { arnOf, keyOf } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import type { Deployment, Documents } from "./documents.js";
import { checkDeploymentConfig } from "./deployment-config.js";
import type { EndpointLife } from "./endpoint-life.js";
import { instancesOf } from "./endpoint-plan.js";
import { validationError } from "./errors.js";
import type { FaultInjector } from "./faults.js";
import type { Call, EndpointOperations, Wire } from "./operations.js";
import { newestFirst } from "./paging.js";
import type { Lists } from "./paging.js";
import { isServerlessQuota } from "./quotas.js";
import type { Quotas } from "./quotas.js";
import type { Change, Row, Store } from "./store.js";
import { checkTags } from "./tags.js";

export interface EndpointOperationParts {
  readonly store: Store;
  readonly lists: Lists;
  readonly quotas: Quotas;
  readonly faults: FaultInjector;
  readonly life: EndpointLife;
}

export function createEndpointOperations(parts: EndpointOperationParts): EndpointOperations {
  const { store, lists, life } = parts;
  return {
    CreateEndpoint: (call, request) => createEndpoint(parts, call, request),
    UpdateEndpoint: (call, request) => updateEndpoint(parts, call, request),
    UpdateEndpointWeightsAndCapacities: (call, request) => updateCapacities(parts, call, request),

    async DescribeEndpoint(call, { EndpointName }) {
      return (await findEndpoint(store, call, EndpointName)).document;
    },

    async ListEndpoints(call, request) {
      const { StatusEquals } = request;
      const filter = StatusEquals === undefined ? {} : { status: StatusEquals };
      const page = await lists.page("endpoint", call, request, { ...newestFirst, filter });
      const summaries = page.rows.map(({ document }) => {
        const { EndpointName, EndpointArn, CreationTime, LastModifiedTime } = document;
        const { EndpointStatus } = document;
        return { EndpointName, EndpointArn, CreationTime, LastModifiedTime, EndpointStatus };
      });
      return { Endpoints: summaries, ...page.token };
    },

    async DeleteEndpoint(call, { EndpointName }) {
      const { key } = await findEndpoint(store, call, EndpointName);
      const deletable = ["InService", "Failed", "OutOfService", "UpdateRollbackFailed"];
      const modifiedAt = Date.now() / 1000;
      const deleting = store.update(key, {
        document: { EndpointStatus: "Deleting", LastModifiedTime: modifiedAt },
        ...{ status: "Deleting", whileStatus: deletable, modifiedAt },
      });
      if ((await recovering(life, key, deleting)) === undefined) throw busy(key);
      life.takeDown(key);
    },
  };
}

async function createEndpoint(
  { store, quotas, faults, life }: EndpointOperationParts,
  call: Call,
  request: Wire<sagemaker.CreateEndpointInput>,
) {
  checkDeploymentConfig(request.DeploymentConfig);
  const config = await findConfig(store, faults, call, request.EndpointConfigName);
  const deployment = { config, capacities: [] };
  const key = keyOf(call, "endpoint", request.EndpointName);
  const createdAt = Date.now() / 1000;
  const document = {
    EndpointName: request.EndpointName,
    EndpointArn: arnOf(key),
    EndpointConfigName: request.EndpointConfigName,
    EndpointStatus: "Creating" as const,
    CreationTime: createdAt,
    LastModifiedTime: createdAt,
    ...(request.DeploymentConfig && { LastDeploymentConfig: request.DeploymentConfig }),
  };
  const instances = instancesOf(deployment);
  const tags = checkTags(request.Tags);
  const hidden = { instances, next: deployment };
  const resource = { document, hidden, tags, status: "Creating", createdAt };
  const inserted = quotas.within(key, instances, (within) => within.insert(key, resource));
  const wasFree = await recovering(life, key, inserted);
  if (!wasFree)
    throw validationError(`Cannot create already existing endpoint "${document.EndpointArn}".`);
  life.create(key, deployment);
  return { EndpointArn: document.EndpointArn };
}

async function updateEndpoint(
  parts: EndpointOperationParts,
  call: Call,
  request: Wire<sagemaker.UpdateEndpointInput>,
) {
  const { store, faults } = parts;
  checkDeploymentConfig(request.DeploymentConfig);
  const row = await findUpdatable(store, call, request.EndpointName);
  const config = await findConfig(store, faults, call, request.EndpointConfigName);
  checkServerless(row, config, request);
  const current = row.document.EndpointConfigName ?? "";
  if (current === request.EndpointConfigName)
    throw validationError(
      `Endpoint "${row.arn}" already uses the endpoint configuration ${current}: create a new one.`,
    );
  // AWS accepts the deletion of a configuration that is in use, and then cannot leave it.
  await findConfig(store, faults, call, current);
  const retain = request.RetainAllVariantProperties === true;
  const excluded = (request.ExcludeRetainedVariantProperties ?? []).map(
    ({ VariantPropertyType }) => VariantPropertyType,
  );
  const capacities = (retain ? (row.document.ProductionVariants ?? []) : []).map((variant) => ({
    variant: variant.VariantName,
    ...(!excluded.includes("DesiredWeight") && { weight: variant.DesiredWeight ?? 1 }),
    ...(!excluded.includes("DesiredInstanceCount") &&
      variant.DesiredInstanceCount !== undefined && { instances: variant.DesiredInstanceCount }),
  }));
  await beginUpdate(parts, row, { config, capacities }, request.DeploymentConfig);
  return { EndpointArn: row.arn };
}

/** AWS: instances cannot be exchanged for serverless, nor do deployment policies go with it. */
function checkServerless(
  row: Row<"endpoint">,
  next: Documents["endpoint-config"],
  { DeploymentConfig }: Wire<sagemaker.UpdateEndpointInput>,
): void {
  if (!isServerless(next)) return;
  const current = row.hidden.serving?.config;
  if (current !== undefined && !isServerless(current))
    throw validationError(
      `Endpoint "${row.arn}" runs on instances and cannot be updated to the serverless configuration ` +
        `${next.EndpointConfigName ?? ""}: create a new endpoint.`,
    );
  if (DeploymentConfig !== undefined)
    throw validationError("DeploymentConfig is not supported for serverless endpoints.");
}

const isServerless = ({ ProductionVariants = [] }: Documents["endpoint-config"]) =>
  ProductionVariants.some(({ ServerlessConfig }) => ServerlessConfig !== undefined);

async function updateCapacities(
  parts: EndpointOperationParts,
  call: Call,
  request: Wire<sagemaker.UpdateEndpointWeightsAndCapacitiesInput>,
) {
  const row = await findUpdatable(parts.store, call, request.EndpointName);
  const { serving } = row.hidden;
  if (serving === undefined || serving === null) throw busy(row.key);
  if (isServerless(serving.config))
    throw validationError(
      `Endpoint "${row.arn}" is serverless: change its concurrency with a new endpoint configuration.`,
    );
  const variants = (row.document.ProductionVariants ?? []).map(({ VariantName }) => VariantName);
  const unknown = request.DesiredWeightsAndCapacities.find(
    ({ VariantName }) => !variants.includes(VariantName),
  );
  if (unknown !== undefined)
    throw validationError(
      `Could not find variant ${unknown.VariantName} of endpoint "${row.arn}".`,
    );
  const capacities = (row.document.ProductionVariants ?? []).map((variant) => {
    const wanted = request.DesiredWeightsAndCapacities.find(
      ({ VariantName }) => VariantName === variant.VariantName,
    );
    const weight = wanted?.DesiredWeight ?? variant.DesiredWeight ?? 1;
    const instances = wanted?.DesiredInstanceCount ?? variant.DesiredInstanceCount;
    return { variant: variant.VariantName, weight, ...(instances !== undefined && { instances }) };
  });
  await beginUpdate(parts, row, { config: serving.config, capacities });
  return { EndpointArn: row.arn };
}

/** Both fleets hold their instances until the old one is gone; serverless, the larger of the two counts. */
async function beginUpdate(
  { quotas, life }: EndpointOperationParts,
  { key, hidden }: Row<"endpoint">,
  next: Deployment,
  deploymentConfig?: Documents["endpoint"]["LastDeploymentConfig"],
): Promise<void> {
  const added = instancesOf(next);
  const instances = { ...hidden.instances };
  const requested: Record<string, number> = {};
  for (const [type, count] of Object.entries(added)) {
    const held = instances[type] ?? 0;
    requested[type] = isServerlessQuota(type) ? Math.max(0, count - held) : count;
    instances[type] = held + requested[type];
  }
  const modifiedAt = Date.now() / 1000;
  const change: Change<"endpoint"> = {
    document: {
      EndpointStatus: "Updating",
      LastModifiedTime: modifiedAt,
      PendingDeploymentSummary: pendingSummary(next, modifiedAt),
      ...(deploymentConfig && { LastDeploymentConfig: deploymentConfig }),
    },
    remove: ["FailureReason"],
    hidden: { instances, next },
    ...{ status: "Updating", whileStatus: updatable, modifiedAt },
  };
  const updating = quotas.within(key, requested, (within) => within.update(key, change));
  const begun = await recovering(life, key, updating);
  if (begun === undefined) throw busy(key);
  life.update(key, next);
}

function pendingSummary({ config }: Deployment, startedAt: number) {
  return {
    EndpointConfigName: config.EndpointConfigName,
    StartTime: startedAt,
    ProductionVariants: (config.ProductionVariants ?? []).map(({ VariantName }) => ({
      VariantName,
      VariantStatus: [{ Status: "Creating" as const, StartTime: startedAt }],
    })),
  };
}

/** A write that fails may have happened all the same: what it left must not wait for ever. */
async function recovering<T>(
  life: EndpointLife,
  key: ResourceKey<"endpoint">,
  write: Promise<T>,
): Promise<T> {
  try {
    return await write;
  } catch (error) {
    life.recover(key);
    throw error;
  }
}

const updatable = ["InService", "UpdateRollbackFailed"];

async function findUpdatable(store: Store, call: Call, name: string): Promise<Row<"endpoint">> {
  const row = await findEndpoint(store, call, name);
  if (updatable.includes(row.status ?? "")) return row;
  if (row.status === "Failed")
    throw validationError(`Cannot update endpoint "${row.arn}" in status Failed: delete it.`);
  throw busy(row.key);
}

async function findEndpoint(store: Store, call: Call, name: string): Promise<Row<"endpoint">> {
  const key = keyOf(call, "endpoint", name);
  const row = await store.find(key);
  if (row === undefined) throw validationError(`Could not find endpoint "${arnOf(key)}".`);
  return row;
}

/** AWS reads configurations with a lag: one made a moment ago may not be found. */
async function findConfig(store: Store, faults: FaultInjector, call: Call, name: string) {
  const key = keyOf(call, "endpoint-config", name);
  const row = await store.find(key);
  const visibleSince = Date.now() / 1000 - (faults.current().readLagSeconds ?? 0);
  if (row === undefined || row.createdAt > visibleSince)
    throw validationError(`Could not find endpoint configuration "${arnOf(key)}".`);
  return row.document;
}

const busy = (key: ResourceKey<"endpoint">) =>
  validationError(`Cannot update in-progress endpoint "${arnOf(key)}".`);
