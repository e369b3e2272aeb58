/** What one customer's application may call: his models on the endpoint that serves them. */
import {
  customerPolicy,
  endpointArn,
  ownTargetModels,
  sharedTargetModels,
} from "../fleet/customer-policy.js";
import { namingOf, type ArtifactNaming } from "../fleet/names.js";
import type { PolicyDocument } from "../fleet/policy-document.js";
import { hasOwnEndpoint, servingAddress, type EndpointKind } from "../fleet/serving.js";
import type { Connections } from "./connections.js";
import { ClientError } from "./errors.js";
import { askLedger, findCustomer } from "./ledger.js";
import { findStage } from "./served-models.js";
import { setting } from "./settings.js";

export interface PolicyWish {
  readonly fleet: string;
  readonly customer: string;
  readonly stage?: string | undefined;
  /** Folders of models that he may call as well; of no use on an endpoint of his own. */
  readonly shared: readonly string[];
}

interface AccessRow {
  readonly account: string | null;
  readonly kind: EndpointKind | null;
  readonly naming: ArtifactNaming | null;
  readonly servingKind: EndpointKind | null;
  readonly servingTarget: string | null;
  readonly generation: number | null;
}

/** By the way that he is served now; before anything serves him, by the fleet's newest cycle. */
export async function readCustomerPolicy(
  connections: Connections,
  { fleet, customer, stage: named, shared }: PolicyWish,
): Promise<PolicyDocument> {
  const targets = shared.map(sharedTargetModels);
  const { customerKey } = await findCustomer(connections, { fleet, customer });
  const stage = await findStage(connections, { fleet, stage: named });
  const [row] = await askLedger<AccessRow>(
    connections,
    `select (select s ->> 'account' from jsonb_array_elements(f.spec -> 'stages') s where s ->> 'name' = $2)
              as account, f.spec #>> '{endpoint,kind}' as kind,
            f.spec #>> '{endpoint,naming}' as naming, p.endpoint_kind as "servingKind",
            p.target_model as "servingTarget", r.generation
       from cycles c
       join fleet_specs f using (fleet, spec_hash)
       left join publications p on p.fleet = c.fleet and p.stage = $2 and p.customer_key = $3
                               and p.state = 'serving'
       left join releases r on r.fleet = p.fleet and r.customer_key = p.customer_key and r.version = p.version
      where c.fleet = $1 order by c.cycle desc limit 1`,
    [fleet, stage, customerKey],
  );
  const kind = row?.servingKind ?? row?.kind ?? "multi-model";
  const generation = row?.generation ?? null;
  if (kind === "pipeline" && generation === null)
    throw new ClientError(
      `nothing serves "${customer}" of fleet "${fleet}" yet, so it is not known which endpoint will`,
      "publish a model first: the endpoint is that of its preprocessor",
    );
  const naming = row?.servingTarget ? namingOf(row.servingTarget) : (row?.naming ?? "versioned");
  const serving = { kind, naming, generation };
  const address = servingAddress(serving, { fleet, stage, customerKey, version: 0 });
  const arn = endpointArn({
    region: setting(connections.environment, "AWS_REGION"),
    account: row?.account ?? "",
    endpointName: address.endpointName,
  });
  const targetModels = hasOwnEndpoint(kind)
    ? null
    : [ownTargetModels(customerKey, naming), ...targets];
  return customerPolicy({ endpointArn: arn, targetModels });
}
