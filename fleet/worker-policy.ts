/** The IAM policy of a worker: every call that its activities make, on what is named after its fleets, and nothing else. */
import { JOB_NAME_PREFIX, s3Keys } from "./names.js";
import {
  partitionOf,
  policyDocument,
  type PolicyDocument,
  type PolicyStatement,
} from "./policy-document.js";

export interface PolicyScope {
  readonly region: string;
  readonly account: string;
  readonly bucket: string;
  readonly fleets: readonly PolicyFleet[];
}

export interface PolicyFleet {
  readonly name: string;
  readonly stages: readonly string[];
}

export interface PolicyPlace extends PolicyScope {
  /** The role that jobs and endpoints assume, which the worker passes to SageMaker. */
  readonly roleArn: string;
}

export interface WorkerScope extends PolicyPlace {
  /** Stages that the worker's own credentials serve, with a region, a bucket or an execution role of their own. */
  readonly apart?: readonly PolicyPlace[];
  /** Roles that the worker assumes to reach stages elsewhere. */
  readonly stageRoles: readonly string[];
  /** ARNs of the secrets in AWS Secrets Manager that the settings refer to. */
  readonly secrets?: readonly string[];
}

/**
 * Jobs are held to modelfleet's own prefix and not to a fleet's name, of which a job's name may hold only a part;
 * everything else is held to the fleets by name. Actions and resources by AWS's Service Authorization Reference,
 * list_amazonsagemaker and list_amazons3.
 */
export function workerPolicy(scope: WorkerScope): PolicyDocument {
  const { apart = [], secrets = [] } = scope;
  const places = [scope, ...apart];
  return policyDocument(
    ...jobs(scope),
    ...registry(scope),
    ...endpoints(places),
    passRoles(places),
    ...objects(places),
    ...(scope.stageRoles.length === 0 ? [] : [assumeRoles(scope.stageRoles)]),
    ...(secrets.length === 0 ? [] : [readSecrets(secrets)]),
  );
}

/** `roleArn` is the role of the stage's account that its endpoints assume. */
export interface StagePolicyScope extends PolicyPlace {
  /** Where models are copied from; the stage's own bucket when it is the same. */
  readonly homeBucket: string;
}

/** Of the role that the worker assumes for a stage: what serves there, and reading what is to. */
export function stagePolicy(scope: StagePolicyScope): PolicyDocument {
  const home = { ...scope, bucket: scope.homeBucket };
  return policyDocument(
    { Sid: "Lists", Effect: "Allow", Action: STAGE_LISTS, Resource: "*" },
    ...endpoints([scope]),
    passRoles([scope]),
    ...objects([scope]),
    ...(home.bucket === scope.bucket
      ? []
      : [
          {
            Sid: "HomeObjects",
            Effect: "Allow",
            Action: ["s3:GetObject", "s3:GetObjectTagging"],
            Resource: objectArns(home),
          } as const,
        ]),
  );
}

const STAGE_LISTS = [
  "sagemaker:ListEndpointConfigs",
  "sagemaker:ListEndpoints",
  "sagemaker:ListModels",
] as const;

const passRoles = (places: readonly PolicyPlace[]): PolicyStatement => ({
  Sid: "Roles",
  Effect: "Allow",
  Action: "iam:PassRole",
  Resource: unique(places.map(({ roleArn }) => roleArn)),
  Condition: { StringEquals: { "iam:PassedToService": "sagemaker.amazonaws.com" } },
});

export const assumeRoles = (roles: readonly string[]): PolicyStatement => ({
  Sid: "StageRoles",
  Effect: "Allow",
  Action: "sts:AssumeRole",
  Resource: roles,
});

export const readSecrets = (secrets: readonly string[]): PolicyStatement => ({
  Sid: "Secrets",
  Effect: "Allow",
  Action: "secretsmanager:GetSecretValue",
  Resource: secrets,
});

const JOB_KINDS = [
  "training-job",
  "hyper-parameter-tuning-job",
  "processing-job",
  "transform-job",
] as const;

function jobs(scope: PolicyScope): PolicyStatement[] {
  return [
    {
      Sid: "Jobs",
      Effect: "Allow",
      Action: [
        "sagemaker:AddTags",
        "sagemaker:CreateHyperParameterTuningJob",
        "sagemaker:CreateProcessingJob",
        "sagemaker:CreateTrainingJob",
        "sagemaker:CreateTransformJob",
        "sagemaker:DescribeHyperParameterTuningJob",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:DescribeTransformJob",
        "sagemaker:ListTags",
        "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
        "sagemaker:StopHyperParameterTuningJob",
        "sagemaker:StopProcessingJob",
        "sagemaker:StopTrainingJob",
        "sagemaker:StopTransformJob",
      ],
      Resource: JOB_KINDS.map((kind) => arn(scope, kind, `${JOB_NAME_PREFIX}*`)),
    },
    {
      // Lists have no resource; ListModelPackages may have one, of which it is not said how it is built.
      Sid: "Lists",
      Effect: "Allow",
      Action: [
        "sagemaker:ListEndpointConfigs",
        "sagemaker:ListEndpoints",
        "sagemaker:ListHyperParameterTuningJobs",
        "sagemaker:ListModelPackageGroups",
        "sagemaker:ListModelPackages",
        "sagemaker:ListModels",
        "sagemaker:ListProcessingJobs",
        "sagemaker:ListTrainingJobs",
        "sagemaker:ListTransformJobs",
      ],
      Resource: "*",
    },
  ];
}

function registry(scope: PolicyScope): PolicyStatement[] {
  return [
    {
      Sid: "Registry",
      Effect: "Allow",
      Action: [
        "sagemaker:AddTags",
        "sagemaker:BatchDescribeModelPackage",
        "sagemaker:CreateModelPackage",
        "sagemaker:CreateModelPackageGroup",
        "sagemaker:DeleteModelPackage",
        "sagemaker:DeleteModelPackageGroup",
        "sagemaker:DescribeModelPackage",
        "sagemaker:ListTags",
        "sagemaker:UpdateModelPackage",
      ],
      Resource: registryArns(scope),
    },
  ];
}

/** Groups of the fleets' customers, and their versions. */
export const registryArns = (scope: PolicyScope): string[] => [
  ...packageGroupArns(scope),
  ...scope.fleets.map(({ name }) => arn(scope, "model-package", `${name}--*`)),
];

export const packageGroupArns = (scope: PolicyScope): string[] =>
  scope.fleets.map(({ name }) => arn(scope, "model-package-group", `${name}--*`));

/** Of the stages, and of what is for one customer or one generation there. */
export const endpointArns = (scope: PolicyScope): string[] => namedAs(scope, "endpoint");

const namedAs = (scope: PolicyScope, kind: string): string[] =>
  scope.fleets
    .flatMap(({ name, stages }) => stages.map((stage) => `${name}-${stage}`))
    .flatMap((name) => [arn(scope, kind, name), arn(scope, kind, `${name}-*`)]);

function endpoints(scopes: readonly PolicyScope[]): PolicyStatement[] {
  const named = (kind: string) => scopes.flatMap((scope) => namedAs(scope, kind));
  const preprocessors = scopes.flatMap((scope) =>
    scope.fleets.map(({ name }) => arn(scope, "model", `${JOB_NAME_PREFIX}${name}-g*`)),
  );
  return [
    {
      Sid: "Endpoints",
      Effect: "Allow",
      Action: [
        "sagemaker:AddTags",
        "sagemaker:CreateEndpoint",
        "sagemaker:CreateEndpointConfig",
        "sagemaker:DeleteEndpoint",
        "sagemaker:DeleteEndpointConfig",
        "sagemaker:DescribeEndpoint",
        "sagemaker:DescribeEndpointConfig",
        "sagemaker:InvokeEndpoint",
        "sagemaker:ListTags",
        "sagemaker:UpdateEndpoint",
      ],
      Resource: [...named("endpoint"), ...named("endpoint-config")],
    },
    {
      Sid: "Models",
      Effect: "Allow",
      Action: [
        "sagemaker:AddTags",
        "sagemaker:CreateModel",
        "sagemaker:DeleteModel",
        "sagemaker:ListTags",
      ],
      Resource: unique([...named("model"), ...preprocessors]),
    },
  ];
}

/**
 * The bucket is listed without a condition on the prefix: only who may list it is told that an object is not there,
 * and everybody else that it is forbidden (S3 API, HeadObject).
 */
function objects(scopes: readonly PolicyScope[]): PolicyStatement[] {
  return [
    {
      Sid: "Objects",
      Effect: "Allow",
      Action: ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
      Resource: unique(scopes.flatMap(objectArns)),
    },
    {
      Sid: "Bucket",
      Effect: "Allow",
      Action: "s3:ListBucket",
      Resource: unique(scopes.map(bucketArn)),
    },
  ];
}

export const bucketArn = ({ region, bucket }: PolicyScope): string =>
  `arn:${partitionOf(region)}:s3:::${bucket}`;

/** All that is the fleets'. */
export const objectArns = (scope: PolicyScope): string[] =>
  scope.fleets.map(({ name }) => `${bucketArn(scope)}/${s3Keys.fleet(name)}*`);

const arn = ({ region, account }: PolicyScope, kind: string, name: string): string =>
  `arn:${partitionOf(region)}:sagemaker:${region}:${account}:${kind}/${name}`;

const unique = (values: readonly string[]): string[] => [...new Set(values)];
