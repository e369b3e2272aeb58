/** Every name the fleet gives: keys of customers, ids of cycles, names in AWS, keys in S3. */
import { canonicalJson, sha256Hex } from "./canonical-json.js";
import { LIMITS } from "./limits.js";
import type { FleetSpec } from "./spec.schema.js";
import { parseTime } from "./window.js";

const HASH_LENGTH = 12;
const HASHED = new RegExp(`-[0-9a-f]{${HASH_LENGTH}}$`);
const SLUG_LENGTH = LIMITS.customerKeyLength - 1 - HASH_LENGTH;

/**
 * A customer's id made safe for S3 keys, AWS names and workflow ids. Ids that are safe already stay as they
 * are, unless they look like a hashed one: so no two ids share a key (but for a collision of 48 bits).
 */
export function customerKey(customer: string): string {
  const safe = /^[a-z0-9]+(-[a-z0-9]+)*$/.test(customer);
  if (safe && customer.length <= LIMITS.customerKeyLength && !HASHED.test(customer))
    return customer;
  return `${slug(customer, SLUG_LENGTH) || "c"}-${sha256Hex(customer).slice(0, HASH_LENGTH)}`;
}

/** `2013-07-01` at midnight UTC, else `2013-07-01t0300`: one cycle a minute at most. */
export function cycleId(at: string): string {
  const iso = parseTime(at).toISOString();
  const [day, time] = [iso.slice(0, 10), iso.slice(11, 16).replace(":", "")];
  return time === "0000" ? day : `${day}t${time}`;
}

export interface TrainingJobKey {
  readonly fleet: string;
  readonly customerKey: string;
  readonly cycle: string;
  /** A workflow's counter of jobs for one model, never an activity's attempt. */
  readonly round: number;
  /** `requestHash` of the Create request without its name. */
  readonly requestHash: string;
}

/** Starts every job name, so that a list of an account's jobs can be narrowed to modelfleet's. */
export const JOB_NAME_PREFIX = "mf-";

/** A pure function of the work: the second attempt at the same work finds the job of the first. */
export function trainingJobName(key: TrainingJobKey): string {
  const hash = sha256Hex(canonicalJson(key)).slice(0, HASH_LENGTH);
  const tail = `-${key.cycle}-${key.round}-${hash}`;
  const room = LIMITS.jobNameLength - JOB_NAME_PREFIX.length - tail.length;
  return JOB_NAME_PREFIX + readable(key.fleet, key.customerKey, room) + tail;
}

/** One group per customer. Two dashes: neither a fleet's name nor a key has them, so no two pairs meet. */
export function modelPackageGroupName(fleet: string, key: string): string {
  const name = `${fleet}--${key}`;
  if (name.length <= LIMITS.jobNameLength) return name;
  const hash = sha256Hex(name).slice(0, HASH_LENGTH);
  return `${cut(name, LIMITS.jobNameLength - 2 - HASH_LENGTH)}--${hash}`;
}

export const endpointName = (fleet: string, stage: string): string => `${fleet}-${stage}`;

export interface EndpointPartKey {
  readonly fleet: string;
  readonly stage: string;
  /** `requestHash` of what the model or the endpoint config holds. */
  readonly hash: string;
}

export const modelName = ({ fleet, stage, hash }: EndpointPartKey): string =>
  `${fleet}-${stage}-${hash.slice(0, HASH_LENGTH)}`;

export const endpointConfigName = ({ fleet, stage, hash }: EndpointPartKey): string =>
  `${fleet}-${stage}-${hash.slice(0, HASH_LENGTH)}`;

/** What InvokeEndpoint is called with; relative to `s3Keys.models`. */
export const targetModel = (key: string, version: number): string =>
  `${key}/v${String(version).padStart(6, "0")}.tar.gz`;

export const CHANNELS = ["train", "validation", "test"] as const;
export type Channel = (typeof CHANNELS)[number];

/** Keys in the fleet's bucket, without the bucket. Those of folders end in a slash. */
export const s3Keys = {
  code: (fleet: string, sourceHash: string) =>
    `fleets/${fleet}/code/${sourceHash}/sourcedir.tar.gz`,
  cycle: (fleet: string, cycle: string) => `fleets/${fleet}/cycles/${cycle}/`,
  /** Folder of the schema channel. */
  schema: (fleet: string, cycle: string) => `fleets/${fleet}/cycles/${cycle}/schema/`,
  columns: (fleet: string, cycle: string) => `fleets/${fleet}/cycles/${cycle}/schema/columns.json`,
  manifest: (fleet: string, cycle: string) => `fleets/${fleet}/cycles/${cycle}/manifest.json`,
  /** Folder of one data channel. A prefix in SageMaker is a string prefix, hence the closing slash. */
  channel: (o: DatasetKey & { readonly channel: Channel }) =>
    `fleets/${o.fleet}/cycles/${o.cycle}/data/${o.customerKey}/${o.channel}/`,
  rows: (o: DatasetKey & { readonly channel: Channel }) => `${s3Keys.channel(o)}data.csv`,
  /** OutputDataConfig.S3OutputPath. */
  output: (fleet: string, cycle: string) => `fleets/${fleet}/cycles/${cycle}/output/`,
  /** ModelDataUrl of the multi-model endpoint. */
  models: (fleet: string, stage: string) => `fleets/${fleet}/stages/${stage}/models/`,
  artifact: (o: StageModelKey & { readonly version: number }) =>
    s3Keys.models(o.fleet, o.stage) + targetModel(o.customerKey, o.version),
  pointer: (o: StageModelKey) =>
    `fleets/${o.fleet}/stages/${o.stage}/pointers/${o.customerKey}.json`,
} as const;

export interface DatasetKey {
  readonly fleet: string;
  readonly cycle: string;
  readonly customerKey: string;
}

export interface StageModelKey {
  readonly fleet: string;
  readonly stage: string;
  readonly customerKey: string;
}

/** sha256 of an AWS request, hex: tells "an earlier attempt did it" from "somebody else took the name". */
export const requestHash = (request: object): string => sha256Hex(canonicalJson(request));

/** sha256 of the resolved spec, hex. */
export const specHash = (spec: FleetSpec): string => sha256Hex(canonicalJson(spec));

/** Lower-case words of a text, joined by dashes; accents are dropped, other signs separate. */
function slug(text: string, length: number): string {
  const plain = text
    .slice(0, 4 * length)
    .normalize("NFKD")
    .replace(/\p{M}/gu, "");
  const words = plain.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return cut(words.join("-"), length);
}

/** Fleet and customer as far as they fit; the customer, which tells names apart, keeps at least half. */
function readable(fleet: string, key: string, room: number): string {
  const forFleet = Math.max(room - 1 - key.length, Math.floor((room - 1) / 2));
  const shown = cut(fleet, forFleet);
  return `${shown}-${cut(key, room - 1 - shown.length)}`;
}

const cut = (text: string, length: number): string => text.slice(0, length).replace(/-+$/, "");
