/** Amazon Resource Names of what the server keeps, made and taken apart. */

import { validationError } from "./errors.js";

/** Where a resource lives: every name, quota and lookup is per account and region. */
export interface Scope {
  readonly account: string;
  readonly region: string;
}

export type Kind =
  | "training-job"
  | "processing-job"
  | "transform-job"
  | "hyper-parameter-tuning-job"
  | "model"
  | "model-package-group"
  | "model-package"
  | "endpoint-config"
  | "endpoint";

export interface ResourceKey<K extends Kind = Kind> extends Scope {
  readonly kind: K;
  readonly name: string;
}

/** AWS lower-cases the name inside the ARN of an endpoint while EndpointName keeps its case. */
export function arnOf({ account, region, kind, name }: ResourceKey): string {
  const shown = kind === "endpoint" ? name.toLowerCase() : name;
  return `arn:aws:sagemaker:${region}:${account}:${kind}/${shown}`;
}

/** An ARN of the wanted kind taken apart; anything else is a name in the caller's own scope. */
export function keyOf<K extends Kind>(scope: Scope, kind: K, arnOrName: string): ResourceKey<K> {
  const match = /^arn:aws[a-z-]*:sagemaker:([a-z0-9-]+):(\d{12}):([a-z-]+)\/(.+)$/.exec(arnOrName);
  if (match === null)
    return {
      account: scope.account,
      region: scope.region,
      kind,
      name: canonicalName(kind, arnOrName),
    };
  const [, region = "", account = "", found, name = ""] = match;
  // A wrong kind stays whole: no resource has such a name, so it is simply not found.
  return { account, region, kind, name: canonicalName(kind, found === kind ? name : arnOrName) };
}

/** AWS, HyperParameterTuningJobName: "The name is not case sensitive". */
function canonicalName(kind: Kind, name: string): string {
  return kind === "hyper-parameter-tuning-job" ? name.toLowerCase() : name;
}

export interface S3Location {
  readonly bucket: string;
  readonly key: string;
}

/** `s3://bucket/key`; the https form, which the pattern lets pass, is refused. */
export function s3Location(url: string): S3Location {
  const match = /^s3:\/\/([^/]+)\/?(.*)$/s.exec(url);
  if (match === null) throw validationError(`${url} is not an S3 URL of the form s3://bucket/key.`);
  const [, bucket = "", key = ""] = match;
  return { bucket, key };
}
