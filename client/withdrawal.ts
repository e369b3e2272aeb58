/** Has a version withdrawn: if it serves, the one before it serves again; if it did once, nobody goes back to it. */
import type { Decision } from "../workflows/messages.js";
import type { Connections } from "./connections.js";
import { askLedger } from "./ledger.js";
import { startWithdrawal } from "./rollback.js";

/** Returns the id of the workflow that does it, or null when the version has never served. */
export async function withdrawServing(
  connections: Connections,
  model: { readonly fleet: string; readonly customerKey: string; readonly version: number },
  { decision }: { readonly decision: Decision },
): Promise<string | null> {
  const { fleet, customerKey, version } = model;
  const [place] = await askLedger<{ stage: string }>(
    connections,
    `select stage from publications
      where fleet = $1 and customer_key = $2 and version = $3 and state in ('serving', 'replaced')
      order by state = 'serving' desc limit 1`,
    [fleet, customerKey, version],
  );
  if (place === undefined) return null;
  const withdrawal = { fleet, stage: place.stage, customerKey, version, decision };
  const { workflowId } = await startWithdrawal(connections, withdrawal);
  return workflowId;
}
