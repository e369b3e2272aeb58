/** What an activity works with in a stage: the clients and the places there, instead of the home account's. */
import type pg from "pg";
import { readStage } from "./ledger/stages.js";
import type { StageRef } from "./ledger/publications.js";
import type { StageAccess, StageClients } from "./stage-access.js";

export interface StageReach {
  readonly ledger: pg.Pool;
  /** Where artifacts come from. */
  readonly bucket: string;
  readonly stageAccess: StageAccess;
}

/** `homeBucket`: where the training jobs leave their artifacts, and where the code is. */
export type AtStage<Dependencies> = Omit<Dependencies, keyof StageClients> &
  StageClients & { readonly homeBucket: string };

/** Throws what the access throws: nothing of the stage is touched with the wrong credentials. */
export async function atStage<Dependencies extends StageReach>(
  dependencies: Dependencies,
  place: StageRef,
): Promise<AtStage<Dependencies>> {
  const { stage } = await readStage(dependencies.ledger, place);
  const clients = await dependencies.stageAccess(stage);
  return { ...dependencies, ...clients, homeBucket: dependencies.bucket };
}
