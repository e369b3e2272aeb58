/** Who calls AWS, and what the policies of `modelfleet iam` allow each of them. */
import type { PolicyDocument } from "../fleet/policy-document.js";
import { stageUserPolicy, userPolicy } from "../fleet/user-policy.js";
import { stagePolicy, workerPolicy } from "../fleet/worker-policy.js";

/** Whose credentials a call was made with, and by which program. */
export type Caller = "worker" | "worker in a stage" | "user" | "user in a stage";

/** The fleets and buckets of tests have all kinds of names: what is checked is how resources are named after them. */
const scope = {
  account: "*",
  region: "*",
  bucket: "*",
  roleArn: "arn:aws:iam::*:role/*",
  stageRoles: ["arn:aws:iam::*:role/*"],
  secrets: ["arn:aws:secretsmanager:*:*:secret:*"],
  fleets: [{ name: "*", stages: ["*"] }],
};
const apart = [{ ...scope, bucket: "?*" }];

export const POLICIES: Readonly<Record<Caller, PolicyDocument>> = {
  worker: workerPolicy(scope),
  "worker in a stage": stagePolicy({ ...scope, homeBucket: "?*" }),
  user: userPolicy({ ...scope, apart, mayChange: true }),
  "user in a stage": stageUserPolicy({ ...scope, mayChange: true }),
};
