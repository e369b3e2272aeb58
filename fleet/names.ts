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

/** Stands where a customer's key does, for the jobs of a whole cycle. No customer's key has capitals. */
export const CYCLE_KEY = "CYCLE";

/** Stands where a customer's key does, for what a whole cohort shares. No customer's key has capitals. */
export const COHORT_KEY = "COHORT";

/**
 * `2013-07-01` at midnight UTC, else `2013-07-01t0300`: one cycle a minute at most. A testing run is a cycle of its
 * own, `2013-07-01-testing`: what it releases must not keep the real one from training. So is one that drift has
 * called for, `2013-07-01-drift`, which trains some customers only.
 */
export function cycleId(
  at: string,
  { testing = false, drift = false }: { testing?: boolean; drift?: boolean } = {},
): string {
  const iso = parseTime(at).toISOString();
  const [day, time] = [iso.slice(0, 10), iso.slice(11, 16).replace(":", "")];
  return `${day}${time === "0000" ? "" : `t${time}`}${testing ? "-testing" : ""}${drift ? "-drift" : ""}`;
}

/** Of a training job or of a tuning job. */
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

/** What a name may be made of beside its hash: tuning jobs have short names, which prefix their training jobs'. */
const TUNING_ROOM = LIMITS.tuningJobNameLength - JOB_NAME_PREFIX.length - 1 - HASH_LENGTH;

/** A pure function of the work as well; the cycle and the round stand in the hash only, for want of room. */
export function tuningJobName(key: TrainingJobKey): string {
  const hash = sha256Hex(canonicalJson(key)).slice(0, HASH_LENGTH);
  return `${JOB_NAME_PREFIX}${readable(key.fleet, key.customerKey, TUNING_ROOM)}-${hash}`;
}

/** One group per customer. Two dashes: neither a fleet's name nor a key has them, so no two pairs meet. */
export function modelPackageGroupName(fleet: string, key: string): string {
  const name = `${fleet}--${key}`;
  if (name.length <= LIMITS.jobNameLength) return name;
  const hash = sha256Hex(name).slice(0, HASH_LENGTH);
  return `${cut(name, LIMITS.jobNameLength - 2 - HASH_LENGTH)}--${hash}`;
}

/** The stage's one endpoint; or, of a fleet with an endpoint for each customer, his. */
export function endpointName(fleet: string, stage: string, key?: string): string {
  if (key === undefined) return `${fleet}-${stage}`;
  // Two dashes, as in a group's name: they begin the customer, and in a name that is cut also the hash.
  const name = `${fleet}-${stage}--${key}`;
  return name.length <= LIMITS.jobNameLength ? name : hashed(name, LIMITS.jobNameLength);
}

/** Of a pipeline: one for each generation of its preprocessor. No stage is called `g` and a number. */
export const pipelineEndpointName = (fleet: string, stage: string, generation: number): string =>
  `${fleet}-${stage}-g${generation}`;

/** What configs and models of an endpoint are called after it leave so much of 63 characters for it. */
const BASE_LENGTH = LIMITS.jobNameLength - "-20261121143059-abcdef".length;
const HASHED_BASE = new RegExp(`--[0-9a-f]{${HASH_LENGTH}}$`);

/** The endpoint itself, as far as it is short; no two endpoints share one. */
const baseOf = (endpoint: string): string =>
  endpoint.length <= BASE_LENGTH && !HASHED_BASE.test(endpoint)
    ? endpoint
    : hashed(endpoint, BASE_LENGTH);

const hashed = (name: string, length: number): string =>
  `${cut(name, length - 2 - HASH_LENGTH)}--${sha256Hex(name).slice(0, HASH_LENGTH)}`;

export interface EndpointPartKey {
  readonly endpointName: string;
  /** `requestHash` of what the model or the endpoint config holds. */
  readonly hash: string;
}

export const modelName = ({ endpointName: endpoint, hash }: EndpointPartKey): string =>
  `${baseOf(endpoint)}-${hash.slice(0, HASH_LENGTH)}`;

/** What is left of 63 characters beside the longest base and a time. */
const CONFIG_HASH_LENGTH = 6;

export interface EndpointConfigKey extends EndpointPartKey {
  /** ISO time of the refresh, from the workflow that orders it: every attempt makes the same name. */
  readonly at: string;
}

/** When it was made, then what it holds: the name alone says whether an endpoint is as wanted. */
export const endpointConfigName = ({ endpointName: endpoint, hash, at }: EndpointConfigKey) =>
  `${baseOf(endpoint)}-${timestamp(at)}-${hash.slice(0, CONFIG_HASH_LENGTH)}`;

/**
 * Of an endpoint whose artifacts are never overwritten: the same content is the same config, whenever it is wanted,
 * since its containers never have to forget what they have loaded.
 */
export const contentConfigName = ({ endpointName: endpoint, hash }: EndpointPartKey): string =>
  `${baseOf(endpoint)}-${hash.slice(0, HASH_LENGTH)}`;

/** Digits only, to the second: more would not fit. */
const timestamp = (at: string): string =>
  new Date(at).toISOString().slice(0, 19).replace(/\D/g, "");

/** Starts the names of all configs and models of one endpoint, and maybe of others: see `isOwnConfig`. */
export const endpointConfigPrefix = (endpoint: string): string => `${baseOf(endpoint)}-`;

/** What follows an endpoint's base tells by its length where it begins, so no other endpoint's is taken for it. */
export const isOwnConfig = (name: string, endpoint: string): boolean =>
  name.startsWith(endpointConfigPrefix(endpoint)) &&
  /^(\d{14}-[0-9a-f]{6}|[0-9a-f]{12})$/.test(name.slice(endpointConfigPrefix(endpoint).length));

export const isOwnModel = (name: string, endpoint: string): boolean =>
  name.startsWith(endpointConfigPrefix(endpoint)) &&
  /^[0-9a-f]{12}$/.test(name.slice(endpointConfigPrefix(endpoint).length));

/** The fitted preprocessor by itself, for batch transform; `hash` of what the model holds. */
export const preprocessorModelName = (fleet: string, generation: number, hash: string): string =>
  `${preprocessorModelPrefix(fleet)}${generation}-${workOf(hash)}`;

export const preprocessorModelPrefix = (fleet: string): string => `${JOB_NAME_PREFIX}${fleet}-g`;

/** Of this fleet's: what follows the prefix of a longer fleet's name is no number and a hash. */
export const isPreprocessorModel = (name: string, fleet: string): boolean =>
  name.startsWith(preprocessorModelPrefix(fleet)) &&
  /^\d+-[0-9a-f]{12}$/.test(name.slice(preprocessorModelPrefix(fleet).length));

/** Whether the config of that name holds what `hash` is the hash of. */
export const holdsSame = (name: string, { endpointName: endpoint, hash }: EndpointPartKey) =>
  isOwnConfig(name, endpoint) &&
  (name === contentConfigName({ endpointName: endpoint, hash }) ||
    name.endsWith(`-${hash.slice(0, CONFIG_HASH_LENGTH)}`));

/** `versioned`: never overwritten, and a pointer says which to call. `stable`: one name, overwritten. */
export type ArtifactNaming = "versioned" | "stable";

/** What InvokeEndpoint is called with; relative to `s3Keys.models`. */
export const targetModel = (
  key: string,
  version: number,
  naming: ArtifactNaming = "versioned",
): string =>
  naming === "stable" ? `${key}.tar.gz` : `${key}/v${String(version).padStart(6, "0")}.tar.gz`;

/** How an artifact was named when it was published: a fleet may change its mind. */
export const namingOf = (target: string): ArtifactNaming =>
  target.includes("/") ? "versioned" : "stable";

export const CHANNELS = ["train", "validation", "test"] as const;
export type Channel = (typeof CHANNELS)[number];

/** Keys in the fleet's bucket, without the bucket. Those of folders end in a slash. */
export const s3Keys = {
  /** All that is a fleet's. */
  fleet: (fleet: string) => `fleets/${fleet}/`,
  code: (fleet: string, sourceHash: string) =>
    `fleets/${fleet}/code/${sourceHash}/sourcedir.tar.gz`,
  /** The same sources as single files, for jobs that unpack nothing. */
  codeFiles: (fleet: string, sourceHash: string) => `fleets/${fleet}/code/${sourceHash}/files/`,
  cycle: (fleet: string, cycle: string) => `fleets/${fleet}/cycles/${cycle}/`,
  /** Laid out as the cycle's own folder; `work` tells one preparation from any other. */
  prepared: (fleet: string, cycle: string, work: string) =>
    `fleets/${fleet}/cycles/${cycle}/prepared/${workOf(work)}/`,
  /** Output of the batch transforms of a pipeline, laid out as `data`. */
  transformed: (fleet: string, cycle: string, work: string) =>
    `fleets/${fleet}/cycles/${cycle}/transformed/${workOf(work)}/`,
  /** Test rows as an older generation of the preprocessor prepares them, for its champions; `root` is `transformed`. */
  championRows: (root: string, generation: number) => `${root}champions/g${generation}/`,
  /** Which objects a job of the whole cycle reads, by the hash of the list. */
  inputList: (fleet: string, cycle: string, hash: string) =>
    `fleets/${fleet}/cycles/${cycle}/inputs/${workOf(hash)}.manifest`,
  /** Of all customers; `root` is the cycle's folder, or what a preparation wrote in its place. */
  data: (root: string) => `${root}data/`,
  /** Folder of the schema channel. */
  schema: (fleet: string, cycle: string, prepared: string | null = null) =>
    `${prepared ?? s3Keys.cycle(fleet, cycle)}schema/`,
  columns: (fleet: string, cycle: string) => `fleets/${fleet}/cycles/${cycle}/schema/columns.json`,
  /** Beside columns.json: what the training script compares. */
  comparison: (fleet: string, cycle: string) =>
    `fleets/${fleet}/cycles/${cycle}/schema/evaluation.json`,
  manifest: (fleet: string, cycle: string) => `fleets/${fleet}/cycles/${cycle}/manifest.json`,
  /** ModelMetrics of a model package: the figures of one customer's challenger. */
  evaluation: (o: DatasetKey) =>
    `fleets/${o.fleet}/cycles/${o.cycle}/evaluations/${o.customerKey}.json`,
  /** ModelMetrics of a cohort's model package: the figures of all its members. */
  cohortEvaluation: (fleet: string, cycle: string) =>
    `fleets/${fleet}/cycles/${cycle}/evaluations/${COHORT_KEY}.json`,
  /** Of all cycles: `evaluationhistory.csv` and `tuningjobhistory.csv`. */
  history: (fleet: string, file: string) => `fleets/${fleet}/history/${file}`,
  /** What the ledger knows of the fleet, for the day on which it is lost. */
  lineage: (fleet: string) => `fleets/${fleet}/lineage/`,
  /** Folder of one data channel. A prefix in SageMaker is a string prefix, hence the closing slash. */
  channel: (o: DatasetKey & { readonly channel: Channel }) =>
    `fleets/${o.fleet}/cycles/${o.cycle}/data/${o.customerKey}/${o.channel}/`,
  rows: (o: DatasetKey & { readonly channel: Channel }) => `${s3Keys.channel(o)}data.csv`,
  /** Of a sharded fleet: an object for each customer, with the rows of all channels. */
  customerRows: (o: DatasetKey) => s3Keys.customers(o.fleet, o.cycle) + customerFile(o.customerKey),
  customers: (fleet: string, cycle: string, prepared: string | null = null) =>
    `${prepared ?? s3Keys.cycle(fleet, cycle)}customers/`,
  /** What a sharded job reads beside rows and schema; `work` tells its work from any other's. */
  cohortInputs: (o: CohortKey) =>
    `fleets/${o.fleet}/cycles/${o.cycle}/cohort-inputs/${workOf(o.workHash)}/`,
  /** A sharded job's checkpoints: an artifact for each customer, and what is told of it. */
  cohort: (o: CohortKey) => `fleets/${o.fleet}/cycles/${o.cycle}/cohort/${workOf(o.workHash)}/`,
  /** OutputDataConfig.S3OutputPath. */
  output: (fleet: string, cycle: string) => `fleets/${fleet}/cycles/${cycle}/output/`,
  /** All that a stage serves from. */
  stage: (fleet: string, stage: string) => `fleets/${fleet}/stages/${stage}/`,
  /** ModelDataUrl of a multi-model endpoint: the stage's, or of a pipeline that of one generation. */
  models: (fleet: string, stage: string, generation: number | null = null) =>
    `${s3Keys.stage(fleet, stage)}${generation === null ? "" : `g${generation}/`}models/`,
  artifact: (o: ArtifactKey) =>
    s3Keys.models(o.fleet, o.stage, o.generation ?? null) + o.targetModel,
  pointer: (o: StageModelKey) =>
    `fleets/${o.fleet}/stages/${o.stage}/pointers/${o.customerKey}.json`,
} as const;

export interface DatasetKey {
  readonly fleet: string;
  readonly cycle: string;
  readonly customerKey: string;
}

export interface CohortKey {
  readonly fleet: string;
  readonly cycle: string;
  /** `requestHash` of everything that the models come from. */
  readonly workHash: string;
}

/** As folders and searches are named after it; of such a name, the name itself. */
export const workOf = (hash: string): string => hash.slice(0, HASH_LENGTH);

/** A customer's rows in the folder of `s3Keys.customers`. */
export const customerFile = (key: string): string => `${key}.csv`;

/** A customer's model in the folder of `s3Keys.cohort`. */
export const cohortArtifact = (key: string): string => `${key}.tar.gz`;

/** Of an object that an endpoint loads. */
export interface ArtifactKey {
  readonly fleet: string;
  readonly stage: string;
  readonly targetModel: string;
  /** Of the preprocessor that the model needs before it; only pipelines have them. */
  readonly generation?: number | null | undefined;
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
