/** Who may assume a role: the trust policy, with the external id that it asks for. */
import { z } from "zod";

const oneOrMore = z.union([
  z
    .string()
    .min(1)
    .transform((one) => [one]),
  z.array(z.string().min(1)),
]);

/** What is not understood is refused: it could let in too many. */
export const trustPolicySchema = z.strictObject({
  Version: z.literal("2012-10-17"),
  Statement: z
    .array(
      z.strictObject({
        Sid: z.string().optional(),
        Effect: z.literal("Allow"),
        Principal: z.strictObject({ AWS: oneOrMore.optional(), Service: oneOrMore.optional() }),
        Action: z.literal("sts:AssumeRole"),
        Condition: z
          .strictObject({ StringEquals: z.strictObject({ "sts:ExternalId": z.string() }) })
          .optional(),
      }),
    )
    .min(1),
});

export type TrustPolicy = z.infer<typeof trustPolicySchema>;

/** May the caller assume the role, given this external id? */
export const isTrusted = (
  { Statement }: TrustPolicy,
  isCaller: (principal: string) => boolean,
  externalId: string | undefined,
): boolean =>
  Statement.some(({ Principal: { AWS = [] }, Condition }) => {
    const wanted = Condition?.StringEquals["sts:ExternalId"];
    return AWS.some(isCaller) && (wanted === undefined || wanted === externalId);
  });

/** May SageMaker's jobs and endpoints run as the role? */
export const trustsSageMaker = ({ Statement }: TrustPolicy): boolean =>
  Statement.some(({ Principal: { Service = [] } }) => Service.includes("sagemaker.amazonaws.com"));
