/** The IAM policies of who is not a worker: SageMaker's jobs and endpoints, and the people who approve. */
import { SpecError } from "./errors.js";
import { s3Keys } from "./names.js";
import { partitionOf, policyDocument, type PolicyDocument } from "./policy-document.js";
import { bucketArn, objectArns, registryArns, type PolicyScope } from "./worker-policy.js";

/** Who may assume the execution role: SageMaker, for what runs in this account (no confused deputy). */
export const executionRoleTrust = ({ account }: Pick<PolicyScope, "account">): PolicyDocument =>
  policyDocument({
    Sid: "SageMaker",
    Effect: "Allow",
    Principal: { Service: "sagemaker.amazonaws.com" },
    Action: "sts:AssumeRole",
    Condition: { StringEquals: { "aws:SourceAccount": account } },
  });

/**
 * What jobs and endpoints do by themselves: read data and code, write models, load them, pull their images, log.
 * https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms
 *
 * `images` are the image addresses that the fleets' containers are made of.
 */
export function executionRolePolicy(
  scope: PolicyScope & { readonly images: readonly string[] },
): PolicyDocument {
  const { region, account } = scope;
  return policyDocument(
    {
      Sid: "Objects",
      Effect: "Allow",
      Action: ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
      Resource: objectArns(scope),
    },
    { Sid: "Bucket", Effect: "Allow", Action: "s3:ListBucket", Resource: bucketArn(scope) },
    {
      Sid: "Images",
      Effect: "Allow",
      Action: [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
      ],
      Resource: [...new Set(scope.images.map(repositoryArn))].sort(),
    },
    {
      // A token is for the whole registry.
      Sid: "RegistryToken",
      Effect: "Allow",
      Action: "ecr:GetAuthorizationToken",
      Resource: "*",
    },
    {
      Sid: "Logs",
      Effect: "Allow",
      Action: [
        "logs:CreateLogGroup",
        "logs:CreateLogStream",
        "logs:DescribeLogStreams",
        "logs:PutLogEvents",
      ],
      Resource: `arn:${partitionOf(region)}:logs:${region}:${account}:log-group:/aws/sagemaker/*`,
    },
    {
      // Metrics have no ARN; their namespace is what can be named.
      Sid: "Metrics",
      Effect: "Allow",
      Action: "cloudwatch:PutMetricData",
      Resource: "*",
      Condition: {
        StringLike: { "cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"] },
      },
    },
  );
}

/** `123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/image:tag`, or with a digest. Throws SpecError for others. */
function repositoryArn(image: string): string {
  const match =
    /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\/([a-z0-9][a-z0-9._/-]*)(?:[:@].+)?$/.exec(
      image,
    );
  if (match !== null) {
    const [, registry = "", region = "", repository = ""] = match;
    return `arn:${partitionOf(region)}:ecr:${region}:${registry}:repository/${repository}`;
  }
  throw new SpecError(
    `${image} is no image in Amazon ECR, so no policy can name it`,
    "SageMaker pulls images from ECR: name one as 123456789012.dkr.ecr.REGION.amazonaws.com/NAME:TAG",
  );
}

/** To look at versions with their figures in the registry, and to approve or reject them there. */
export function approverPolicy(scope: PolicyScope): PolicyDocument {
  return policyDocument(
    {
      Sid: "Versions",
      Effect: "Allow",
      Action: [
        "sagemaker:DescribeModelPackage",
        "sagemaker:DescribeModelPackageGroup",
        "sagemaker:UpdateModelPackage",
      ],
      Resource: registryArns(scope),
    },
    {
      Sid: "Lists",
      Effect: "Allow",
      Action: ["sagemaker:ListModelPackageGroups", "sagemaker:ListModelPackages"],
      Resource: "*",
    },
    {
      // The reports that a version's ModelMetrics name.
      Sid: "Evaluations",
      Effect: "Allow",
      Action: "s3:GetObject",
      Resource: scope.fleets.map(
        ({ name }) => `${bucketArn(scope)}/${s3Keys.fleet(name)}cycles/*/evaluations/*`,
      ),
    },
  );
}
