/** A load of so many clients, each of which sends its next request when it has the answer to the last. */
import { formatNumber, percentile } from "../statistics.js";
import { inFlight } from "../in-flight.mjs";

export interface Load {
  readonly latenciesMs: readonly number[];
  readonly seconds: number;
}

export async function closedLoop(
  { clients, requests }: { clients: number; requests: number },
  send: (number: number) => Promise<unknown>,
): Promise<Load> {
  const latenciesMs: number[] = [];
  const started = performance.now();
  await inFlight({ count: requests, limit: clients }, async (number) => {
    const sent = performance.now();
    await send(number);
    latenciesMs.push(performance.now() - sent);
  });
  return { latenciesMs, seconds: (performance.now() - started) / 1000 };
}

/** p50, p95, p99 and requests per second, as a table shows them. */
export function loadCells({ latenciesMs, seconds }: Load): string[] {
  const at = (p: number) => formatNumber(percentile(latenciesMs, p), 2);
  return [at(50), at(95), at(99), formatNumber(latenciesMs.length / seconds, 0)];
}
