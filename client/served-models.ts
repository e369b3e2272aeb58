/** What a stage's endpoints can serve now: the objects that they load, and to which of them customers are pointed. */
import type { S3Client } from "@aws-sdk/client-s3";
import { endpointName, pipelineEndpointName, s3Keys } from "../fleet/names.js";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import { bucketOf, stageOf } from "./invocation.js";
import { askLedger } from "./ledger.js";
import { reachStage } from "./stage-connections.js";

export interface ServedModel {
  readonly endpointName: string;
  /** What InvokeEndpoint is called with; null on an endpoint of the customer's own. */
  readonly targetModel: string | null;
  /** Null for an object that no fleet has put there. */
  readonly customer: string | null;
  readonly version: number | null;
  readonly sizeBytes: number;
  /** ISO: when the object came there. */
  readonly since: string;
  /** The version that the customer's pointer names. */
  readonly isPointedTo: boolean;
}

/** The named stage if the fleet has it, by default that of its newest cycle. Throws ClientError otherwise. */
export async function findStage(
  connections: Connections,
  { fleet, stage }: { readonly fleet: string; readonly stage?: string | undefined },
): Promise<string> {
  const newest = await stageOf(connections, fleet);
  if (stage === undefined || stage === newest) return newest;
  const rows = await askLedger<{ stage: string }>(
    connections,
    `select distinct s ->> 'name' as stage
       from fleet_specs, jsonb_array_elements(spec -> 'stages') s where fleet = $1 order by 1`,
    [fleet],
  );
  const names = rows.map((row) => row.stage);
  if (names.includes(stage)) return stage;
  throw new ClientError(
    `fleet "${fleet}" has no stage "${stage}" (it has ${names.join(", ")})`,
    `modelfleet models ${fleet} --stage`,
  );
}

/** Page by page, in the order of the names: a stage may have as many as customers. */
export async function* listServedModels(
  connections: Connections,
  { fleet, stage }: { readonly fleet: string; readonly stage: string },
): AsyncGenerator<readonly ServedModel[]> {
  const s3 = await (await reachStage(connections, { fleet, stage })).s3();
  const Bucket = await bucketOf(connections, { fleet, stage });
  for (const { prefix, endpoint } of await modelFolders(s3, Bucket, { fleet, stage })) {
    for await (const page of objectsUnder(s3, Bucket, prefix)) {
      const found = page.map((object) => ({ ...object, ...readTarget(object.name) }));
      const keys = [...new Set(found.map(({ customerKey }) => customerKey))];
      const standing = await readStanding(connections, { fleet, stage }, keys);
      yield found.flatMap((object) => served(object, endpoint, standing.get(object.customerKey)));
    }
  }
}

interface ModelFolder {
  readonly prefix: string;
  readonly endpoint: string;
}

/** One, or of a pipeline one for each generation of its preprocessor. */
async function modelFolders(
  s3: S3Client,
  Bucket: string,
  { fleet, stage }: { readonly fleet: string; readonly stage: string },
): Promise<ModelFolder[]> {
  const { ListObjectsV2Command } = await import("@aws-sdk/client-s3");
  const Prefix = s3Keys.stage(fleet, stage);
  const { CommonPrefixes = [] } = await s3.send(
    new ListObjectsV2Command({ Bucket, Prefix, Delimiter: "/" }),
  );
  return CommonPrefixes.flatMap(({ Prefix: found = "" }) => {
    const folder = found.slice(Prefix.length);
    if (folder === "models/") return [{ prefix: found, endpoint: endpointName(fleet, stage) }];
    const generation = Number(/^g(\d+)\/$/.exec(folder)?.[1] ?? NaN);
    if (Number.isNaN(generation)) return [];
    const prefix = s3Keys.models(fleet, stage, generation);
    return [{ prefix, endpoint: pipelineEndpointName(fleet, stage, generation) }];
  });
}

interface StoredObject {
  /** Below the folder. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly since: string;
}

async function* objectsUnder(
  s3: S3Client,
  Bucket: string,
  Prefix: string,
): AsyncGenerator<readonly StoredObject[]> {
  const { paginateListObjectsV2 } = await import("@aws-sdk/client-s3");
  for await (const { Contents = [] } of paginateListObjectsV2({ client: s3 }, { Bucket, Prefix }))
    yield Contents.map(({ Key = "", Size = 0, LastModified }) => ({
      name: Key.slice(Prefix.length),
      sizeBytes: Size,
      since: (LastModified ?? new Date(0)).toISOString(),
    }));
}

/** `key/v000012.tar.gz`, or under a stable name `key.tar.gz`. */
function readTarget(name: string): { customerKey: string; version: number | null } {
  const [, key, version] = /^([a-z0-9-]+)\/v(\d+)\.tar\.gz$/.exec(name) ?? [];
  if (key !== undefined) return { customerKey: key, version: Number(version) };
  return { customerKey: /^([a-z0-9-]+)\.tar\.gz$/.exec(name)?.[1] ?? "", version: null };
}

interface Standing {
  readonly customerKey: string;
  readonly customer: string;
  readonly servingVersion: number | null;
  readonly servingTarget: string | null;
  /** Of an endpoint of his own. */
  readonly ownEndpoint: string | null;
  readonly ownVersion: number | null;
}

async function readStanding(
  connections: Connections,
  { fleet, stage }: { readonly fleet: string; readonly stage: string },
  customerKeys: readonly string[],
): Promise<ReadonlyMap<string, Standing>> {
  const rows = await askLedger<Standing>(
    connections,
    `select a.customer_key as "customerKey", p.version as "servingVersion", p.target_model as "servingTarget",
            e.endpoint_name as "ownEndpoint", e.version as "ownVersion",
            (select c.customer from customers c
              where c.fleet = $1 and c.customer_key = a.customer_key order by c.cycle desc limit 1) as customer
       from unnest($3::text[]) as a (customer_key)
       left join publications p on p.fleet = $1 and p.stage = $2 and p.customer_key = a.customer_key
                               and p.state = 'serving'
       left join customer_endpoints e on e.fleet = $1 and e.stage = $2 and e.customer_key = a.customer_key`,
    [fleet, stage, customerKeys],
  );
  return new Map(rows.map((row) => [row.customerKey, row]));
}

/** An endpoint of the customer's own serves one version only, whatever else lies there. */
function served(
  object: StoredObject & { readonly version: number | null },
  sharedEndpoint: string,
  standing: Standing | undefined,
): ServedModel[] {
  const { name, version, sizeBytes, since } = object;
  const own = standing?.ownEndpoint ?? null;
  if (own !== null && version !== standing?.ownVersion) return [];
  const isPointedTo =
    standing?.servingTarget === name && (version === null || version === standing.servingVersion);
  return [
    {
      endpointName: own ?? sharedEndpoint,
      targetModel: own === null ? name : null,
      customer: standing?.customer ?? null,
      version: version ?? (isPointedTo ? (standing?.servingVersion ?? null) : null),
      ...{ sizeBytes, since, isPointedTo },
    },
  ];
}
