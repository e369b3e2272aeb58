/** The model operations: models are immutable records of containers and artifacts. */
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Accounts } from "./accounts.js";
import { arnOf, keyOf, s3Location } from "./arns.js";
import { validationError } from "./errors.js";
import { checkPassRole } from "./iam.js";
import type { Objects } from "./objects.js";
import type { Call, ModelOperations, Wire } from "./operations.js";
import { newestFirst } from "./paging.js";
import type { Lists } from "./paging.js";
import type { Store } from "./store.js";
import { checkTags } from "./tags.js";

export interface ModelParts {
  readonly store: Store;
  readonly lists: Lists;
  readonly accounts: Accounts;
  readonly objects: Objects;
}

type CreateModel = Wire<sagemaker.CreateModelInput>;
type Container = Wire<sagemaker.ContainerDefinition>;

/** AWS API documentation, ContainerDefinition: all environment maps of a model together. */
const maxEnvironmentBytes = 32 * 1024;

export function createModelOperations(parts: ModelParts): ModelOperations {
  const { store, lists, accounts, objects } = parts;
  const find = async (call: Call, name: string) => {
    const key = keyOf(call, "model", name);
    const row = await store.find(key);
    if (row === undefined) throw validationError(`Could not find model "${arnOf(key)}".`);
    return row;
  };

  return {
    async CreateModel(call, request) {
      const containers = checkContainers(request);
      if (request.ExecutionRoleArn === undefined)
        throw validationError("A model needs an ExecutionRoleArn.");
      checkPassRole(accounts, call.principal, request.ExecutionRoleArn);
      const visible = objects.as(request.ExecutionRoleArn);
      for (const container of containers) await checkArtifact(visible, container);
      const key = keyOf(call, "model", request.ModelName);
      const createdAt = Date.now() / 1000;
      const { Tags, ...described } = request;
      const document = { ...described, ModelArn: arnOf(key), CreationTime: createdAt };
      if (!(await store.insert(key, { document, tags: checkTags(Tags), createdAt })))
        throw validationError(`Cannot create already existing model "${arnOf(key)}".`);
      return { ModelArn: document.ModelArn };
    },

    async DescribeModel(call, { ModelName }) {
      return (await find(call, ModelName)).document;
    },

    async ListModels(call, request) {
      const page = await lists.page("model", call, request, newestFirst);
      const summaries = page.rows.map(({ document: { ModelName, ModelArn, CreationTime } }) => {
        return { ModelName, ModelArn, CreationTime };
      });
      return { Models: summaries, ...page.token };
    },

    /** Accepted also while an endpoint uses it: what breaks is the next start of a container. */
    async DeleteModel(call, { ModelName }) {
      await store.remove((await find(call, ModelName)).key);
    },
  };
}

function checkContainers(request: CreateModel): readonly Container[] {
  const { PrimaryContainer, Containers, InferenceExecutionConfig } = request;
  if ((PrimaryContainer === undefined) === (Containers === undefined))
    throw validationError("Exactly one of PrimaryContainer and Containers must be specified.");
  const containers = Containers ?? (PrimaryContainer === undefined ? [] : [PrimaryContainer]);
  if (containers.length === 0) throw validationError("A model needs at least one container.");
  for (const container of containers) checkContainer(container);
  if (containers.filter(({ Mode }) => Mode === "MultiModel").length > 1)
    throw validationError("Only one container of a model can have the mode MultiModel.");
  const named = containers.filter(({ ContainerHostname }) => ContainerHostname !== undefined);
  if (named.length > 0 && named.length < containers.length)
    throw validationError("ContainerHostname must be given for all containers or for none.");
  const hostnames = new Set(named.map(({ ContainerHostname }) => ContainerHostname));
  if (hostnames.size < named.length)
    throw validationError("The ContainerHostnames of a model must be unique.");
  if (InferenceExecutionConfig?.Mode === "Direct" && named.length === 0)
    throw validationError("Containers that are invoked directly need a ContainerHostname.");
  const environment = containers
    .map(({ Environment = {} }) => JSON.stringify(Environment))
    .join("");
  if (Buffer.byteLength(environment) > maxEnvironmentBytes)
    throw validationError("The environment variables of a model must not exceed 32 KB together.");
  return containers;
}

function checkContainer(container: Container): void {
  const { Image, ModelPackageName, ModelDataUrl, ModelDataSource, Mode } = container;
  if ((Image === undefined) === (ModelPackageName === undefined))
    throw validationError("Exactly one of Image and ModelPackageName must be specified.");
  if (ModelDataUrl !== undefined && ModelDataSource !== undefined)
    throw validationError("Only one of ModelDataUrl and ModelDataSource can be specified.");
  if (ModelPackageName !== undefined && ModelDataUrl !== undefined)
    throw validationError("ModelDataUrl cannot be specified together with ModelPackageName.");
  if (Mode === "MultiModel" && ModelDataUrl === undefined && ModelDataSource === undefined)
    throw validationError("A container with the mode MultiModel needs a ModelDataUrl.");
}

/** An artifact must be there before its model: an object, or something below a multi-model prefix. */
async function checkArtifact(objects: Objects, container: Container): Promise<void> {
  const source = container.ModelDataSource?.S3DataSource;
  const url = container.ModelDataUrl ?? source?.S3Uri;
  if (url === undefined) return;
  const isPrefix = container.Mode === "MultiModel" || source?.S3DataType === "S3Prefix";
  const location = s3Location(url);
  if (!(await (isPrefix ? objects.someUnder(location) : objects.exists(location))))
    throw validationError(`Could not find model data at ${url}.`);
}
