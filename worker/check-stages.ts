/** At start: is every stage of the fleets on record open to the worker, and of the account that its spec names? */
import type { Logger } from "@temporalio/worker";
import { ApplicationFailure } from "@temporalio/common";
import { z } from "zod";
import { stageSchema } from "../fleet/stage.schema.js";
import type { WorkerClients } from "./clients.js";

const stagesSchema = z.array(stageSchema);

/**
 * Tells what is wrong in the log, and rejects for nothing: a stage that is closed keeps no other from being served,
 * and whatever would touch it is refused by itself.
 */
export async function checkStages(
  { ledger, stageAccess }: Pick<WorkerClients, "ledger" | "stageAccess">,
  log: Pick<Logger, "info" | "error">,
): Promise<void> {
  const { rows } = await ledger.query<{ fleet: string; stages: unknown }>(
    `select distinct on (fleet) fleet, spec->'stages' as stages from fleet_specs
      order by fleet, created_at desc`,
  );
  for (const { fleet, stages } of rows)
    for (const stage of stagesSchema.safeParse(stages).data ?? []) {
      const { name, account } = stage;
      try {
        const { region } = await stageAccess(stage);
        log.info("stage checked", { fleet, stage: name, account, region });
      } catch (error) {
        const type = error instanceof ApplicationFailure ? error.type : undefined;
        const message = error instanceof Error ? error.message : String(error);
        log.error("stage cannot be reached", { fleet, stage: name, account, type, message });
      }
    }
}
