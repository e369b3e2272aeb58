/** One stage of a fleet, as its file declares it. */
import { z } from "zod";
import { secondsOf } from "./duration.js";
import { LIMITS } from "./limits.js";

export const accountSchema = z.string().regex(/^\d{12}$/, "an AWS account id is 12 digits");
const roleArnSchema = z
  .string()
  .max(2048)
  .regex(
    /^arn:aws[a-z-]*:iam::\d{12}:role\/\S+$/,
    "the ARN of an IAM role, such as arn:aws:iam::333333333333:role/modelfleet",
  );

export const stageSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9]{0,15}$/, "up to 16 lower-case letters and digits, such as sandbox")
    .refine((name) => !/^g\d+$/.test(name), {
      message: "g and a number name the generations of a pipeline's endpoints: call it otherwise",
    }),
  account: accountSchema,
  /** By default the worker's. */
  region: z
    .string()
    .regex(/^[a-z]{2}(-[a-z]+)+-\d$/, "an AWS region, such as eu-central-1")
    .optional(),
  /** That the worker assumes to reach the stage; in the home account its own credentials do. */
  role: roleArnSchema.optional(),
  /** What AssumeRole is given. */
  externalId: z
    .string()
    .min(2)
    .max(1224)
    .regex(/^[\w+=,.@:/-]+$/, "letters, digits and + = , . @ : / - _")
    .optional(),
  /** Where the stage's models are; in the home account by default the worker's bucket. */
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "the name of an S3 bucket, without s3://")
    .optional(),
  /** That SageMaker assumes in the stage's account; in the home account by default the worker's. */
  executionRole: roleArnSchema.optional(),
  /** In place of the endpoint's. */
  instanceType: z
    .string()
    .regex(/^ml\./, "a SageMaker instance type, such as ml.m5.xlarge")
    .optional(),
  instances: z.int().min(1).max(100).optional(),
  /** `release`: takes what is approved. `none`: takes what is registered. `stage`: needs an approval of its own too. */
  approval: z.enum(["release", "none", "stage"]).optional(),
  /** How long a version serves in the stage before, until it comes into this one. */
  lag: z
    .string()
    .refine(isLag, {
      message: "a whole number with its unit s, m, h or d, such as 7d, and at most 365d",
    })
    .optional(),
});

/** A duration that may be nothing, at most a year. */
function isLag(text: string): boolean {
  return /^\d{1,6}[smhd]$/.test(text) && secondsOf(text) <= LIMITS.stageLagSeconds;
}

export type StageSpec = z.infer<typeof stageSchema>;
