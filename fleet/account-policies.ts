/**
 * What the home account's policies must say so that a fleet's stages in other accounts can be promoted to. A
 * statement of ours is known by its Sid; whatever else a policy says is not ours to change.
 */
import { sha256Hex } from "./canonical-json.js";
import { s3Keys } from "./names.js";
import type { StageSpec } from "./spec.schema.js";

export interface Statement {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Principal: { readonly AWS: readonly string[] };
  readonly Action: readonly string[];
  readonly Resource: readonly string[];
}

/** A stage that is in another account: the worker assumes a role there. */
export type RemoteStage = Pick<StageSpec, "name" | "account"> & { readonly role: string };

/**
 * On the home bucket: the stage's role reads the fleet's artifacts and its code, to copy them, and nothing else of
 * it. Rows are CSV files, and a fleet keeps nothing but models in archives.
 */
export const homeBucketStatement = (
  { fleet, bucket }: { readonly fleet: string; readonly bucket: string },
  stage: RemoteStage,
): Statement => ({
  Sid: sid(fleet, stage.name),
  Effect: "Allow",
  Principal: { AWS: [stage.role] },
  Action: ["s3:GetObject", "s3:GetObjectTagging"],
  Resource: [
    `arn:aws:s3:::${bucket}/${s3Keys.fleet(fleet)}code/*`,
    `arn:aws:s3:::${bucket}/${s3Keys.fleet(fleet)}cycles/*.tar.gz`,
  ],
});

/** On a model package group: who is in the stage's account reads versions and what was decided about them. */
export const packageGroupStatement = (
  { fleet, groupArn }: { readonly fleet: string; readonly groupArn: string },
  stage: RemoteStage,
): Statement => ({
  Sid: sid(fleet, stage.name),
  Effect: "Allow",
  Principal: { AWS: [`arn:aws:iam::${stage.account}:root`] },
  Action: [
    "sagemaker:DescribeModelPackageGroup",
    "sagemaker:DescribeModelPackage",
    "sagemaker:ListModelPackages",
  ],
  Resource: [groupArn, `${groupArn.replace(":model-package-group/", ":model-package/")}/*`],
});

/** Letters and digits only, as AWS asks; the hash tells names apart that differ in a dash. */
function sid(fleet: string, stage: string): string {
  const words = `${fleet}-${stage}`
    .split("-")
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1));
  return `Modelfleet${words.join("")}${sha256Hex(`${fleet} ${stage}`).slice(0, 8)}`;
}

export interface PolicyChange {
  /** Sids of statements that are missing. */
  readonly adds: readonly string[];
  /** Sids of ours that say something else than they must. */
  readonly replaces: readonly string[];
  /** The whole policy as it must be (JSON). */
  readonly policy: string;
}

/**
 * Undefined when the policy says all that is wanted. Statements of others, and ours for other stages and fleets,
 * stay as they are. Throws an Error when `current` is no policy.
 */
export function mergePolicy(
  current: string | undefined,
  wanted: readonly Statement[],
): PolicyChange | undefined {
  const document = parse(current);
  const known = new Map(document.Statement.map((one) => [one["Sid"], one]));
  const adds = wanted.filter(({ Sid }) => !known.has(Sid));
  const replaces = wanted.filter(({ Sid }) => {
    const one = known.get(Sid);
    return (
      one !== undefined &&
      !isSame(
        one,
        wanted.find((each) => each.Sid === Sid),
      )
    );
  });
  if (adds.length + replaces.length === 0) return undefined;
  const replaced = new Map<unknown, object>(replaces.map((one) => [one.Sid, one]));
  const Statement = [...document.Statement.map((one) => replaced.get(one["Sid"]) ?? one), ...adds];
  return {
    adds: adds.map(({ Sid }) => Sid),
    replaces: replaces.map(({ Sid }) => Sid),
    policy: JSON.stringify({ ...document, Statement }),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function parse(current: string | undefined): Fields & { readonly Statement: readonly Fields[] } {
  if (current === undefined) return { Version: "2012-10-17", Statement: [] };
  const document: unknown = JSON.parse(current);
  if (!isFields(document)) throw new Error("the policy is no JSON object");
  const statements = listOf(document["Statement"]).filter(isFields);
  return { ...document, Statement: statements };
}

/** AWS writes a list of one as the one, and lists in any order. */
function isSame(one: unknown, other: unknown): boolean {
  if (isFields(one) && isFields(other)) {
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].every((name) => isSame(one[name], other[name]));
  }
  const [ones, others] = [one, other].map((value) => listOf(value).map(String).sort());
  return JSON.stringify(ones) === JSON.stringify(others);
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined ? [] : [value];
