/** The model package operations: versions of a group, approved or rejected. */
import { createHash } from "node:crypto";
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Pool } from "pg";
import { arnOf, keyOf } from "./arns.js";
import type { ResourceKey } from "./arns.js";
import type { Documents } from "./documents.js";
import { AwsError, conflict, validationError } from "./errors.js";
import { createdBy } from "./model-package-groups.js";
import { updateModelPackage } from "./model-package-update.js";
import type { Call, ModelPackageOperations, Wire } from "./operations.js";
import { oldestFirst } from "./paging.js";
import type { Lists, Page } from "./paging.js";
import { accessGroup, accessPackage } from "./registry-access.js";
import { inTransaction } from "./store.js";
import type { Row, Store } from "./store.js";
import { checkTags } from "./tags.js";

type CreateModelPackage = Wire<sagemaker.CreateModelPackageInput>;

export function createModelPackageOperations(
  db: Pool,
  store: Store,
  lists: Lists,
): ModelPackageOperations {
  return {
    CreateModelPackage: (call, request) => createModelPackage(db, store, call, request),

    async DescribeModelPackage(call, { ModelPackageName }) {
      return (await access(store, call, ModelPackageName)).document;
    },

    async ListModelPackages(call, request) {
      const page = await packagePage(store, lists, call, request);
      return { ModelPackageSummaryList: page.rows.map(summaryOf), ...page.token };
    },

    UpdateModelPackage: (call, request) =>
      inTransaction(db, (transaction) => updateModelPackage(transaction, call, request)),

    async DeleteModelPackage(call, { ModelPackageName }) {
      await store.remove((await access(store, call, ModelPackageName)).key);
    },

    async BatchDescribeModelPackage(call, { ModelPackageArnList }) {
      const found: [string, ReturnType<typeof batchSummaryOf>][] = [];
      const failed: [string, { ErrorCode: string; ErrorResponse: string }][] = [];
      for (const arn of ModelPackageArnList)
        try {
          found.push([arn, batchSummaryOf(await access(store, call, arn))]);
        } catch (error) {
          if (!(error instanceof AwsError)) throw error;
          failed.push([arn, { ErrorCode: error.code, ErrorResponse: error.message }]);
        }
      return {
        ModelPackageSummaries: Object.fromEntries(found),
        BatchDescribeModelPackageErrorMap: Object.fromEntries(failed),
      };
    },
  };
}

async function createModelPackage(
  db: Pool,
  store: Store,
  call: Call,
  request: CreateModelPackage,
): Promise<{ ModelPackageArn: string }> {
  const { ModelPackageName, ModelPackageGroupName } = request;
  if (ModelPackageName !== undefined && ModelPackageGroupName !== undefined)
    throw validationError(
      "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one to use.",
    );
  const { InferenceSpecification, SourceAlgorithmSpecification, SourceUri } = request;
  if (!InferenceSpecification && !SourceAlgorithmSpecification && SourceUri === undefined)
    throw validationError(
      "One of InferenceSpecification, SourceAlgorithmSpecification and SourceUri must be provided.",
    );
  if (ModelPackageGroupName !== undefined) {
    if (request.Tags !== undefined)
      throw validationError(
        "Tags are not supported in Model Package versions. Please add them to the Model Package Group",
      );
    const group = keyOf(call, "model-package-group", ModelPackageGroupName);
    return inTransaction(db, (transaction) => createVersion(transaction, call, group, request));
  }
  if (ModelPackageName === undefined) throw validationError("Missing ARN");
  const key = keyOf(call, "model-package", ModelPackageName);
  const createdAt = Date.now() / 1000;
  const document = { ...newPackage(call, key, request, createdAt), ModelPackageName };
  if (!(await store.insert(key, { document, tags: checkTags(request.Tags), createdAt })))
    throw validationError(`Model Package already exists ${arnOf(key)}`);
  return { ModelPackageArn: arnOf(key) };
}

/** The lock on the group makes its versions 1, 2, 3 …, and one of two equal ClientTokens the first. */
async function createVersion(
  store: Store,
  call: Call,
  groupKey: ResourceKey<"model-package-group">,
  request: CreateModelPackage,
): Promise<{ ModelPackageArn: string }> {
  const locked = await store.lock(groupKey);
  const version = locked?.hidden.nextVersion ?? 1;
  const key = keyOf(groupKey, "model-package", `${groupKey.name}/${version}`);
  const action = `sagemaker:${call.operation}`;
  const group = await accessGroup(store, call, { group: groupKey, action, resource: arnOf(key) });

  const { ClientToken: clientToken, ...content } = request;
  const requestHash = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  const earlier = clientToken && (await findByToken(store, groupKey, clientToken));
  if (earlier) {
    if (earlier.hidden.requestHash === requestHash) return { ModelPackageArn: earlier.arn };
    throw conflict(`ClientToken ${clientToken} was used with a different request.`);
  }
  const createdAt = Date.now() / 1000;
  const document: Documents["model-package"] = {
    ...newPackage(call, key, request, createdAt),
    ModelPackageGroupName: groupKey.name,
    ModelPackageVersion: version,
    ModelApprovalStatus: request.ModelApprovalStatus ?? "PendingManualApproval",
  };
  await store.insert(key, {
    document,
    hidden: clientToken === undefined ? {} : { clientToken, requestHash },
    parent: groupKey.name,
    createdAt,
  });
  // Never given out again, even when the version is deleted.
  await store.update(group.key, { hidden: { nextVersion: version + 1 }, modifiedAt: createdAt });
  return { ModelPackageArn: arnOf(key) };
}

function newPackage(
  call: Call,
  key: ResourceKey<"model-package">,
  request: CreateModelPackage,
  createdAt: number,
): Documents["model-package"] {
  const { Tags, ClientToken, ...described } = request;
  return {
    CertifyForMarketplace: false,
    ...described,
    ModelPackageArn: arnOf(key),
    CreationTime: createdAt,
    CreatedBy: createdBy(call),
    ModelPackageStatus: "Completed",
    ModelPackageStatusDetails: { ValidationStatuses: [], ImageScanStatuses: [] },
  };
}

async function findByToken(
  store: Store,
  group: ResourceKey<"model-package-group">,
  clientToken: string,
): Promise<Row<"model-package"> | undefined> {
  const scope = { account: group.account, region: group.region, kind: "model-package" as const };
  const order = { sortBy: "created_at" as const, descending: false, limit: 1 };
  const filter = { parent: group.name, hiddenContains: { clientToken } };
  return (await store.list("model-package", { ...scope, ...order, ...filter }))[0];
}

async function packagePage(
  store: Store,
  lists: Lists,
  call: Call,
  request: Wire<sagemaker.ListModelPackagesInput>,
): Promise<Page<"model-package">> {
  const { ModelPackageGroupName: groupName, ModelPackageType, ModelApprovalStatus } = request;
  const approval = ModelApprovalStatus && { documentContains: { ModelApprovalStatus } };
  if (groupName === undefined) {
    // Without a group and a type AWS lists the packages that are in no group.
    const type = ModelPackageType ?? "Unversioned";
    const inGroup = type === "Both" ? {} : { inGroup: type === "Versioned" };
    const filter = { ...inGroup, ...approval };
    return lists.page("model-package", call, request, { ...oldestFirst, filter });
  }
  const group = keyOf(call, "model-package-group", groupName);
  const action = `sagemaker:${call.operation}`;
  await accessGroup(store, call, { group, action, resource: arnOf(group) });
  const filter = { parent: group.name, ...approval };
  return lists.page("model-package", group, request, { ...oldestFirst, filter });
}

function access(store: Store, call: Call, arnOrName: string): Promise<Row<"model-package">> {
  return accessPackage(store, call, { arnOrName, action: `sagemaker:${call.operation}` });
}

/** Neither metadata nor metrics nor containers: those take a DescribeModelPackage each. */
function summaryOf({ document }: Row<"model-package">) {
  const { ModelPackageName, ModelPackageGroupName, ModelPackageVersion } = document;
  const { ModelPackageArn, ModelPackageDescription, CreationTime } = document;
  const { ModelPackageStatus, ModelApprovalStatus, ModelLifeCycle } = document;
  return {
    ...(ModelPackageName !== undefined && { ModelPackageName }),
    ...(ModelPackageGroupName !== undefined && { ModelPackageGroupName }),
    ...(ModelPackageVersion !== undefined && { ModelPackageVersion }),
    ...(ModelPackageDescription !== undefined && { ModelPackageDescription }),
    ...(ModelApprovalStatus !== undefined && { ModelApprovalStatus }),
    ...(ModelLifeCycle !== undefined && { ModelLifeCycle }),
    ...{ ModelPackageArn, CreationTime, ModelPackageStatus },
  };
}

function batchSummaryOf({ document }: Row<"model-package">) {
  const { ModelPackageGroupName = "", ModelPackageVersion, ModelPackageDescription } = document;
  const { ModelPackageArn, CreationTime, ModelPackageStatus, ModelApprovalStatus } = document;
  return {
    ...{ ModelPackageGroupName, ModelPackageArn, CreationTime, ModelPackageStatus },
    InferenceSpecification: document.InferenceSpecification ?? { Containers: [] },
    ...(ModelPackageVersion !== undefined && { ModelPackageVersion }),
    ...(ModelPackageDescription !== undefined && { ModelPackageDescription }),
    ...(ModelApprovalStatus !== undefined && { ModelApprovalStatus }),
  };
}
