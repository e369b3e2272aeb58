/** What an activity works with in a stage: the clients and the places there, instead of the home account's. */
import type { S3Client } from "@aws-sdk/client-s3";
import type pg from "pg";
import { readStage } from "./ledger/stages.js";
import type { StageRef } from "./ledger/publications.js";
import type { StageAccess, StageClients } from "./stage-access.js";

export interface StageReach {
  readonly ledger: pg.Pool;
  /** Where artifacts come from. */
  readonly bucket: string;
  /** Of the account of that bucket. */
  readonly s3: S3Client;
  readonly stageAccess: StageAccess;
}

/** `homeBucket`: where the training jobs leave their artifacts, and where the code is; `homeS3`: its account's client. */
export type AtStage<Dependencies> = Omit<Dependencies, keyof StageClients> &
  StageClients & { readonly homeBucket: string; readonly homeS3: S3Client };

/** Throws what the access throws: nothing of the stage is touched with the wrong credentials. */
export async function atStage<Dependencies extends StageReach>(
  dependencies: Dependencies,
  place: StageRef,
): Promise<AtStage<Dependencies>> {
  const { stage } = await readStage(dependencies.ledger, place);
  const clients = await dependencies.stageAccess(stage);
  const { bucket: homeBucket, s3: homeS3 } = dependencies;
  return { ...dependencies, ...clients, homeBucket, homeS3 };
}
