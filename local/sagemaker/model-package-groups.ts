/** The model package group operations, and the policies that open a group to other accounts. */
import { arnOf, keyOf } from "./arns.js";
import { conflict, validationError } from "./errors.js";
import { checkPolicy } from "./iam.js";
import type { Call, ModelPackageGroupOperations } from "./operations.js";
import { oldestFirst } from "./paging.js";
import type { Lists } from "./paging.js";
import { accessGroup } from "./registry-access.js";
import type { Row, Store } from "./store.js";
import { checkTags } from "./tags.js";

export function createModelPackageGroupOperations(
  store: Store,
  lists: Lists,
): ModelPackageGroupOperations {
  return {
    async CreateModelPackageGroup(call, request) {
      const key = keyOf(call, "model-package-group", request.ModelPackageGroupName);
      const createdAt = Date.now() / 1000;
      const { Tags, ...described } = request;
      const document = {
        ...described,
        ModelPackageGroupArn: arnOf(key),
        CreationTime: createdAt,
        CreatedBy: createdBy(call),
        ModelPackageGroupStatus: "Completed" as const,
      };
      const hidden = { nextVersion: 1 };
      const tags = checkTags(Tags);
      if (!(await store.insert(key, { document, hidden, tags, createdAt })))
        throw validationError(`Model Package Group already exists ${arnOf(key)}`);
      return { ModelPackageGroupArn: document.ModelPackageGroupArn };
    },

    async DescribeModelPackageGroup(call, { ModelPackageGroupName }) {
      return (await find(store, call, ModelPackageGroupName)).document;
    },

    async ListModelPackageGroups(call, request) {
      if (request.CrossAccountFilterOption === "CrossAccount")
        return { ModelPackageGroupSummaryList: [] };
      const page = await lists.page("model-package-group", call, request, oldestFirst);
      const summaries = page.rows.map(({ document: { CreatedBy, ...summary } }) => summary);
      return { ModelPackageGroupSummaryList: summaries, ...page.token };
    },

    async DeleteModelPackageGroup(call, { ModelPackageGroupName }) {
      const { key, arn } = await find(store, call, ModelPackageGroupName);
      const scope = { account: key.account, region: key.region, kind: "model-package" as const };
      const order = { sortBy: "created_at" as const, descending: false, limit: 1 };
      const packages = await store.list("model-package", { ...scope, ...order, parent: key.name });
      if (packages.length > 0)
        throw conflict(
          `Model Package Group ${arn} cannot be deleted because it still contains Model Packages`,
        );
      await store.remove(key);
    },

    ...policyOperations(store),
  };
}

type PolicyOperations = Pick<
  ModelPackageGroupOperations,
  "PutModelPackageGroupPolicy" | "GetModelPackageGroupPolicy" | "DeleteModelPackageGroupPolicy"
>;

function policyOperations(store: Store): PolicyOperations {
  const findOwn = async (call: Call, name: string) => {
    const key = keyOf(call, "model-package-group", name);
    const row = await store.find(key);
    if (row === undefined) throw validationError(`Cannot find Model Package Group ${arnOf(key)}.`);
    return row;
  };
  const findPolicy = async (call: Call, name: string) => {
    const row = await findOwn(call, name);
    const { policy } = row.hidden;
    if (policy === undefined || policy === null)
      throw validationError(`Cannot find resource policy for ${row.arn}.`);
    return { row, policy };
  };
  const set = (row: Row<"model-package-group">, policy: string | null) =>
    store.update(row.key, { hidden: { policy }, modifiedAt: Date.now() / 1000 });

  return {
    async PutModelPackageGroupPolicy(call, { ModelPackageGroupName, ResourcePolicy }) {
      checkPolicy(ResourcePolicy);
      const row = await findOwn(call, ModelPackageGroupName);
      await set(row, ResourcePolicy);
      return { ModelPackageGroupArn: row.arn };
    },

    async GetModelPackageGroupPolicy(call, { ModelPackageGroupName }) {
      return { ResourcePolicy: (await findPolicy(call, ModelPackageGroupName)).policy };
    },

    async DeleteModelPackageGroupPolicy(call, { ModelPackageGroupName }) {
      const { row } = await findPolicy(call, ModelPackageGroupName);
      await set(row, null);
    },
  };
}

function find(store: Store, call: Call, name: string): Promise<Row<"model-package-group">> {
  const group = keyOf(call, "model-package-group", name);
  const action = `sagemaker:${call.operation}`;
  return accessGroup(store, call, { group, action, resource: arnOf(group) });
}

export function createdBy({ principal }: Call) {
  return { IamIdentity: { Arn: principal.arn, PrincipalId: principal.userId } };
}
