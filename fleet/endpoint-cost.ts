/** What a fleet's endpoints cost by the month, stage by stage: they bill whether they are called or not. */
import { cents, usdPerHour, type PricedAt } from "./cost.js";
import type { EndpointSpec, StageSpec } from "./spec.schema.js";
import { endpointOfStage } from "./stages.js";

/** What of a spec decides it. */
export interface EndpointsSpec {
  readonly endpoint: EndpointSpec;
  readonly stages: readonly StageSpec[];
}

export interface StageEndpointCost {
  readonly stage: string;
  readonly instanceType: string;
  /** Of all endpoints there: customers may have one each. */
  readonly instances: number;
  /** US dollars; null when the price of the instance type is not known in the stage's region. */
  readonly usdPerMonth: number | null;
}

const HOURS_PER_MONTH = 730;

/**
 * In order of promotion, by what each stage has in place of the fleet's instances, and by its own region. `endpoints`:
 * how many the stage has. None for serverless ones, which are billed by the call.
 */
export function endpointCosts(
  { endpoint, stages }: EndpointsSpec,
  { endpoints, ...priced }: PricedAt & { readonly endpoints: (stage: string) => number },
): StageEndpointCost[] {
  return stages.flatMap((stage) => {
    const declared = endpointOfStage(endpoint, stage);
    if (declared.kind === "serverless") return [];
    const { instanceType } = declared;
    const instances = declared.instances * endpoints(stage.name);
    const { region } = stage;
    const price = usdPerHour(instanceType, {
      ...priced,
      ...(region === undefined ? {} : { region }),
    });
    const usdPerMonth = price === undefined ? null : cents(price * HOURS_PER_MONTH * instances);
    return [{ stage: stage.name, instanceType, instances, usdPerMonth }];
  });
}

/** Of all stages; null without any, and when one of them has no known price: a part is no sum. */
export function sumOfEndpoints(costs: readonly StageEndpointCost[]): number | null {
  let sum = 0;
  for (const { instances, usdPerMonth } of costs) {
    if (usdPerMonth === null && instances > 0) return null;
    sum += usdPerMonth ?? 0;
  }
  return costs.length === 0 ? null : cents(sum);
}
