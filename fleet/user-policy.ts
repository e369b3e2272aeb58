/**
 * The IAM policies of a person at the command line: what commands call AWS for by themselves. What they have a workflow
 * do is done by the worker, with the worker's rights.
 */
import { s3Keys } from "./names.js";
import { policyDocument, type PolicyDocument, type PolicyStatement } from "./policy-document.js";
import {
  assumeRoles,
  bucketArn,
  endpointArns,
  packageGroupArns,
  readSecrets,
  type PolicyPlace,
  type WorkerScope,
} from "./worker-policy.js";

export interface UserScope extends WorkerScope {
  /** To make what `modelfleet accounts apply` finds missing; else it is only looked at. */
  readonly mayChange: boolean;
}

/** With the credentials of a person: of the home account. */
export function userPolicy(scope: UserScope): PolicyDocument {
  const { apart = [], stageRoles, mayChange, secrets = [] } = scope;
  const places = [scope, ...apart];
  const others = apart.filter(({ bucket }) => bucket !== scope.bucket);
  const isPromoted = stageRoles.length > 0;
  return policyDocument(
    {
      // Looked for first: what is there is not uploaded again.
      Sid: "Code",
      Effect: "Allow",
      Action: ["s3:GetObject", "s3:PutObject"],
      Resource: fleetObjects(scope, "code/*"),
    },
    {
      Sid: "Pointers",
      Effect: "Allow",
      Action: "s3:GetObject",
      Resource: unique(places.flatMap((place) => fleetObjects(place, "stages/*/pointers/*"))),
    },
    {
      Sid: "Buckets",
      Effect: "Allow",
      Action: ["s3:GetBucketVersioning", "s3:ListBucket"],
      Resource: unique(places.map(bucketArn)),
    },
    {
      Sid: "Endpoints",
      Effect: "Allow",
      Action: ["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"],
      Resource: unique(places.flatMap(endpointArns)),
    },
    {
      // These have no resource to be held to.
      Sid: "Lists",
      Effect: "Allow",
      Action: [
        "cloudwatch:GetMetricData",
        ...(isPromoted ? ["sagemaker:ListModelPackageGroups"] : []),
        "sagemaker:ListTrainingJobs",
      ],
      Resource: "*",
    },
    lookAtRoles(places.map(({ roleArn }) => roleArn)),
    ...(others.length === 0 ? [] : stageBuckets(others, mayChange)),
    ...(isPromoted ? [assumeRoles(stageRoles), ...sharing(scope)] : []),
    ...(secrets.length === 0 ? [] : [readSecrets(secrets)]),
  );
}

/**
 * Of the role that commands assume for a stage elsewhere, beside what the worker needs of the same role: `invoke`, `models`
 * and `endpoint` look at what it serves; `accounts` and `doctor` whether the bucket is as it must be, and the stage's own
 * roles are there.
 */
export function stageUserPolicy(
  scope: PolicyPlace & { readonly mayChange: boolean },
): PolicyDocument {
  return policyDocument(
    {
      Sid: "Buckets",
      Effect: "Allow",
      Action: ["s3:GetBucketVersioning", "s3:ListBucket"],
      Resource: bucketArn(scope),
    },
    {
      Sid: "Pointers",
      Effect: "Allow",
      Action: "s3:GetObject",
      Resource: fleetObjects(scope, "stages/*/pointers/*"),
    },
    {
      Sid: "Endpoints",
      Effect: "Allow",
      Action: ["sagemaker:DescribeEndpoint", "sagemaker:InvokeEndpoint"],
      Resource: endpointArns(scope),
    },
    { Sid: "Metrics", Effect: "Allow", Action: "cloudwatch:GetMetricData", Resource: "*" },
    ...stageBuckets([scope], scope.mayChange),
    lookAtRoles([scope.roleArn]),
  );
}

/** A stage's own bucket: `accounts apply` makes it. */
function stageBuckets(places: readonly PolicyPlace[], mayChange: boolean): PolicyStatement[] {
  const change = ["s3:CreateBucket", "s3:PutBucketPublicAccessBlock", "s3:PutBucketVersioning"];
  return [
    {
      Sid: "StageBuckets",
      Effect: "Allow",
      Action: ["s3:GetBucketPublicAccessBlock", ...(mayChange ? change : [])],
      Resource: unique(places.map(bucketArn)),
    },
  ];
}

/** How the home account lets the roles of stages elsewhere read. */
function sharing(scope: UserScope): PolicyStatement[] {
  const rights = (right: (verb: "Get" | "Put") => string) =>
    scope.mayChange ? [right("Get"), right("Put")] : [right("Get")];
  return [
    {
      Sid: "BucketPolicy",
      Effect: "Allow",
      Action: rights((verb) => `s3:${verb}BucketPolicy`),
      Resource: bucketArn(scope),
    },
    {
      Sid: "GroupPolicies",
      Effect: "Allow",
      Action: rights((verb) => `sagemaker:${verb}ModelPackageGroupPolicy`),
      Resource: packageGroupArns(scope),
    },
  ];
}

const lookAtRoles = (roles: readonly string[]): PolicyStatement => ({
  Sid: "Roles",
  Effect: "Allow",
  Action: "iam:GetRole",
  Resource: unique(roles),
});

const fleetObjects = (place: PolicyPlace, path: string): string[] =>
  place.fleets.map(({ name }) => `${bucketArn(place)}/${s3Keys.fleet(name)}${path}`);

const unique = (values: readonly string[]): string[] => [...new Set(values)];
