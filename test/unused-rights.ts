/** What the policies of `modelfleet iam` allow, and no call of a whole test run has needed. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { POLICIES } from "./callers.js";

/** Where each test file adds the rights that it has used: a program and an action a line. Unset outside a run. */
export const rightsFile = process.env.MODELFLEET_TEST_RIGHTS;

/** Before the first test file; they inherit it. */
export function watchRights(): void {
  process.env.MODELFLEET_TEST_RIGHTS = join(tmpdir(), `modelfleet-rights-${process.pid}.txt`);
  writeFileSync(process.env.MODELFLEET_TEST_RIGHTS, "");
}

/** What AWS asks of a caller for itself, or what only AWS can be asked for. */
const UNSEEN = new Set([
  // The SDK gives up an upload in parts that has failed.
  "worker s3:AbortMultipartUpload",
  // S3 asks it of whoever copies an object that has tags.
  "worker s3:GetObjectTagging",
  // Read as a program starts; test/settings reads them from a server of its own.
  "worker secretsmanager:GetSecretValue",
  "user secretsmanager:GetSecretValue",
  // The local S3 closes buckets by itself, and knows no such setting.
  "user s3:PutBucketPublicAccessBlock",
]);

/**
 * After the last, once: a program and an action a line, sorted. What a program may do in a stage it may have done at
 * home: it is the same code.
 */
export function unusedRights(): string[] {
  const file = process.env.MODELFLEET_TEST_RIGHTS ?? "";
  const used = new Set(readFileSync(file, "utf8").split("\n"));
  rmSync(file);
  const rights = Object.entries(POLICIES).flatMap(([caller, { Statement }]) =>
    Statement.flatMap(({ Action }) => Action).map((action) => rightOf(caller, action)),
  );
  return [...new Set(rights)].filter((right) => !used.has(right) && !UNSEEN.has(right)).sort();
}

/** `caller`: "worker in a stage" and the like. */
export const rightOf = (caller: string, action: string): string =>
  `${caller.split(" ")[0]} ${action}`;
