/** Reads how a fleet's endpoints stand: their state and config at SageMaker, their metrics at CloudWatch. */
import type { DescribeEndpointOutput, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { namingOf } from "../fleet/names.js";
import { servingAddress, type EndpointKind } from "../fleet/serving.js";
import type { Connections } from "./connections.js";
import { readMetrics, spanOf, type MetricSeries, type MetricSpan } from "./endpoint-metrics.js";
import { askLedger } from "./ledger.js";
import { findStage } from "./served-models.js";
import { reachStage } from "./stage-connections.js";

export interface EndpointStanding {
  readonly endpointName: string;
  readonly kind: EndpointKind;
  /** SageMaker's EndpointStatus; null: it does not exist. */
  readonly status: string | null;
  readonly failureReason: string | null;
  readonly config: string | null;
  /** ISO. */
  readonly changedAt: string | null;
  /** Null of a serverless endpoint. */
  readonly instances: number | null;
  readonly serverless: { readonly memorySizeInMb: number; readonly maxConcurrency: number } | null;
  /** Whom the ledger points there. */
  readonly customers: number;
  readonly metrics: readonly MetricSeries[];
}

export interface EndpointsReport {
  readonly fleet: string;
  readonly stage: string;
  readonly span: MetricSpan;
  readonly endpoints: readonly EndpointStanding[];
}

/** By name. Endpoints that customers are pointed to, and those of customers that are being made. */
export async function readEndpoints(
  connections: Connections,
  { fleet, stage: named, sinceSeconds }: { fleet: string; stage?: string; sinceSeconds: number },
): Promise<EndpointsReport> {
  const stage = await findStage(connections, { fleet, stage: named });
  const span = spanOf(sinceSeconds, new Date());
  const there = await reachStage(connections, { fleet, stage });
  const sagemaker = await there.sagemaker();
  const known = await knownEndpoints(connections, { fleet, stage });
  const endpoints: EndpointStanding[] = [];
  for (const { endpointName, kind, customers } of known) {
    const standing = await describe(sagemaker, endpointName);
    const [variant = "AllTraffic"] = standing.variants;
    const metrics = await readMetrics(await there.cloudwatch(), { endpointName, variant }, span);
    const { status, failureReason, config, changedAt, instances, serverless } = standing;
    const capacity = { instances, serverless };
    endpoints.push({
      ...{ endpointName, kind, status, failureReason, config, changedAt },
      ...{ ...capacity, customers, metrics },
    });
  }
  return { fleet, stage, span, endpoints };
}

interface KnownEndpoint {
  readonly endpointName: string;
  readonly kind: EndpointKind;
  readonly customers: number;
}

async function knownEndpoints(
  connections: Connections,
  place: { readonly fleet: string; readonly stage: string },
): Promise<KnownEndpoint[]> {
  const rows = await askLedger<{
    customerKey: string;
    version: number;
    kind: EndpointKind;
    target: string;
    generation: number | null;
    serves: boolean;
  }>(
    connections,
    `select distinct on (p.endpoint_kind, r.generation,
                         case when p.endpoint_kind in ('serverless', 'dedicated') then p.customer_key end)
            p.customer_key as "customerKey", p.version, p.endpoint_kind as kind, p.target_model as target,
            r.generation, true as serves
       from publications p join releases r using (fleet, customer_key, version)
      where p.fleet = $1 and p.stage = $2 and p.state in ('serving', 'copied')`,
    [place.fleet, place.stage],
  );
  const counts = await askLedger<{ kind: EndpointKind; generation: number | null; count: number }>(
    connections,
    `select p.endpoint_kind as kind, r.generation, count(*)::int as count
       from publications p join releases r using (fleet, customer_key, version)
      where p.fleet = $1 and p.stage = $2 and p.state = 'serving' group by 1, 2`,
    [place.fleet, place.stage],
  );
  return rows
    .map(({ kind, target, generation, ...version }) => {
      const serving = { kind, naming: namingOf(target), generation };
      const { endpointName, targetModel } = servingAddress(serving, { ...place, ...version });
      const shared = counts.find((one) => one.kind === kind && one.generation === generation);
      return { endpointName, kind, customers: targetModel === null ? 1 : (shared?.count ?? 0) };
    })
    .sort((one, other) => (one.endpointName < other.endpointName ? -1 : 1));
}

type Standing = Pick<
  EndpointStanding,
  "status" | "failureReason" | "config" | "changedAt" | "instances" | "serverless"
> & { readonly variants: readonly string[] };

async function describe(sagemaker: SageMakerClient, EndpointName: string): Promise<Standing> {
  const { DescribeEndpointCommand } = await import("@aws-sdk/client-sagemaker");
  try {
    return standingOf(await sagemaker.send(new DescribeEndpointCommand({ EndpointName })));
  } catch (error) {
    if (!(error instanceof Error && /^Could not find endpoint /.test(error.message))) throw error;
    const none = { status: null, failureReason: null, config: null, changedAt: null };
    return { ...none, instances: null, serverless: null, variants: [] };
  }
}

function standingOf(endpoint: DescribeEndpointOutput): Standing {
  const variants = endpoint.ProductionVariants ?? [];
  const serverless = variants[0]?.CurrentServerlessConfig;
  const instances = variants.reduce((sum, one) => sum + (one.CurrentInstanceCount ?? 0), 0);
  return {
    status: endpoint.EndpointStatus ?? null,
    failureReason: endpoint.FailureReason ?? null,
    config: endpoint.EndpointConfigName ?? null,
    changedAt: endpoint.LastModifiedTime?.toISOString() ?? null,
    instances: serverless || variants.length === 0 ? null : instances,
    serverless: serverless
      ? {
          memorySizeInMb: serverless.MemorySizeInMB ?? 0,
          maxConcurrency: serverless.MaxConcurrency ?? 0,
        }
      : null,
    variants: variants.map(({ VariantName }) => VariantName ?? ""),
  };
}
