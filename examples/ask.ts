/** Asks a customer's serving model once cold and often warm, as an application would. */
import type { Connections } from "../client/connections.js";
import { invokeModel, readPointer } from "../client/invocation.js";

export interface Answer {
  readonly predictions: readonly number[];
  /** Of the first call, which may have to wait for a container or for the model. Milliseconds. */
  readonly firstMs: number;
  /** The median of the calls after it. */
  readonly warmMs: number;
}

const WARM_CALLS = 20;

/** `rows` are CSV, features only. */
export async function ask(
  connections: Connections,
  { fleet, customer, rows }: { fleet: string; customer: string; rows: readonly string[] },
): Promise<Answer> {
  const pointer = await readPointer(connections, { fleet, customer });
  const call = { fleet, ...pointer, body: rows.join("\n") };
  const first = await invokeModel(connections, call);
  const warm: number[] = [];
  for (let calls = 0; calls < WARM_CALLS; calls++)
    warm.push((await invokeModel(connections, call)).latencyMs);
  warm.sort((a, b) => a - b);
  return {
    predictions: first.predictions,
    firstMs: first.latencyMs,
    warmMs: warm[WARM_CALLS / 2] ?? NaN,
  };
}
