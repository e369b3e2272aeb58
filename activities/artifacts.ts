/** Copies approved artifacts to where a stage's endpoint loads its models from. */
import { CopyObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { log } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import type pg from "pg";
import { s3Keys } from "../fleet/names.js";
import type { Publication } from "../workflows/messages.js";
import { rejectRequests, type RejectedRequest } from "./answer-releases.js";
import { inParallel } from "./in-parallel.js";
import {
  readAskedVersions,
  recordCopied,
  type AskedVersion,
  type StageRef,
} from "./ledger/publications.js";
import { isMissingObject, parseS3Uri } from "./s3-uri.js";

export interface ArtifactDependencies {
  readonly ledger: pg.Pool;
  readonly s3: S3Client;
  readonly temporal: Client;
  readonly bucket: string;
}

/** Some publications of one stage of one fleet. */
export interface PublicationBatch {
  readonly fleet: string;
  readonly stage: string;
  readonly publications: readonly Publication[];
}

export interface RejectedPublication {
  readonly customerKey: string;
  readonly version: number;
  readonly because: string;
}

const COPIES_AT_A_TIME = 8;

export const createArtifactActivities = (dependencies: ArtifactDependencies) => ({
  /**
   * Rejects (in the ledger, and by signal to its release workflow) what cannot be published: an artifact that
   * is gone, a version without an approval on record, one older than what serves. The rest is in place.
   */
  async copyArtifacts({
    fleet,
    stage,
    publications,
  }: PublicationBatch): Promise<{ rejected: RejectedPublication[] }> {
    const place = { fleet, stage };
    const asked = await readAskedVersions(dependencies.ledger, place, publications);
    const copied: Publication[] = [];
    const rejected: RejectedRequest[] = [];
    await inParallel(COPIES_AT_A_TIME, [...publications.entries()], async ([index, request]) => {
      const version = asked[index];
      const because = refusalOf(version) ?? (await copy(dependencies, place, version));
      if (because === null) copied.push(request);
      else rejected.push({ ...request, because });
    });
    await recordCopied(dependencies.ledger, place, copied);
    await rejectRequests(dependencies, place, rejected);
    log.info("artifacts copied", { ...place, copied: copied.length, rejected: rejected.length });
    return {
      rejected: rejected.map(({ customerKey, version, because }) => ({
        customerKey,
        version,
        because,
      })),
    };
  },
});
export type ArtifactActivities = ReturnType<typeof createArtifactActivities>;

/** Why the version may not be published; null when it may. What was approved and then rejected may try again. */
export function refusalOf(asked: AskedVersion | undefined): string | null {
  const release = asked?.release;
  if (!release || release.state === "pending" || release.decidedBy === null)
    return "no approval on record: a person or the fleet's policy approves a version first";
  if (release.state === "denied") return `${release.decidedBy} denied it`;
  const serving = asked?.servingVersion ?? null;
  if (serving !== null && asked !== undefined && asked.version < serving)
    return `version ${serving} serves, which is newer`;
  return release.state === "retired" ? "a newer version took its place" : null;
}

/** Why there is nothing to copy; null when the copy is in place. The key has the version: it never changes. */
async function copy(
  { s3, bucket }: ArtifactDependencies,
  place: StageRef,
  asked: AskedVersion | undefined,
): Promise<string | null> {
  if (!asked?.release) return "no approval on record";
  const { artifactUri } = asked.release;
  const source = parseS3Uri(artifactUri);
  try {
    await s3.send(
      new CopyObjectCommand({
        Bucket: bucket,
        Key: s3Keys.artifact({ ...place, ...asked }),
        CopySource: [source.bucket, ...source.key.split("/")].map(encodeURIComponent).join("/"),
      }),
    );
    return null;
  } catch (error) {
    if (isMissingObject(error)) return `its artifact is gone: ${artifactUri} does not exist`;
    throw error;
  }
}
