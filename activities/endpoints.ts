/** Keeps a stage's endpoint as the fleet declares it, and points customers to verified models. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import type { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { log } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import type pg from "pg";
import { endpointName } from "../fleet/names.js";
import type { Publication } from "../workflows/messages.js";
import { answerRelease, isServing, rejectRequests, servingOutcome } from "./answer-releases.js";
import type { PublicationBatch } from "./artifacts.js";
import { collectConfigs } from "./endpoint-configs.js";
import { endpointParts } from "./endpoint-request.js";
import { refreshEndpoint } from "./endpoint-refresh.js";
import { inParallel } from "./in-parallel.js";
import { readReleasedSpec } from "./ledger/released-spec.js";
import {
  readAskedVersions,
  recordServing,
  type AskedVersion,
  type StageRef,
} from "./ledger/publications.js";
import { withHeartbeat } from "./patience.js";
import { putPointer } from "./pointers.js";
import { verifyModel, type Verdict } from "./verification.js";

export interface EndpointDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly runtime: SageMakerRuntimeClient;
  readonly s3: S3Client;
  readonly temporal: Client;
  readonly region: string;
  readonly bucket: string;
  readonly roleArn: string;
  /** At most so many seconds between looks at an endpoint that is being made or changed. */
  readonly pollSeconds: number;
}

export interface EnsureEndpointInput {
  readonly fleet: string;
  readonly stage: string;
  /** ISO time of this refresh, from the workflow: every attempt gives the endpoint config the same name. */
  readonly at: string;
  /** Artifacts were overwritten: the containers have to forget what they loaded, also when nothing else changed. */
  readonly reload: boolean;
}

/** Each may keep one worker of the container busy with loading. */
const VERIFICATIONS_AT_A_TIME = 8;

export const createEndpointActivities = (dependencies: EndpointDependencies) => ({
  /** Creates or updates the endpoint; heartbeats until it is in service on the wanted config. */
  async ensureEndpoint({
    fleet,
    stage,
    at,
    reload,
  }: EnsureEndpointInput): Promise<{ endpointName: string }> {
    const { ledger, sagemaker } = dependencies;
    const spec = await readReleasedSpec(ledger, fleet);
    const parts = endpointParts({ ...dependencies, spec, stage, at });
    await withHeartbeat(async () => {
      const live = await refreshEndpoint(dependencies, parts, reload);
      if (live === parts.config.EndpointConfigName)
        await collectConfigs(sagemaker, { fleet, stage }, live);
    });
    return { endpointName: parts.endpointName };
  },

  /**
   * Each model that answers like offline gets the pointer and serves; the others are rejected. Every release
   * workflow of the batch is signalled `published` with its outcome. Returns the customers whose version was refused.
   * Heartbeats.
   */
  async verifyAndPoint({
    fleet,
    stage,
    publications,
  }: PublicationBatch): Promise<{ refused: readonly string[] }> {
    const place = { fleet, stage };
    const asked = await readAskedVersions(dependencies.ledger, place, publications);
    const failures: unknown[] = [];
    let done = 0;
    await withHeartbeat(
      () =>
        inParallel(
          VERIFICATIONS_AT_A_TIME,
          [...publications.entries()],
          async ([index, request]) => {
            // One customer's trouble is not the others': they are served, and only then is it thrown.
            await settle(dependencies, place, request, asked[index]).catch((error: unknown) =>
              failures.push(error),
            );
            done += 1;
          },
        ),
      () => ({ done, of: publications.length }),
    );
    log.info("publications settled", { ...place, of: done, failures: failures.length });
    if (failures.length > 0) throw failures[0];
    const settled = await readAskedVersions(dependencies.ledger, place, publications);
    const refused = settled.filter((version) => !isServing(version));
    return { refused: refused.map(({ customerKey }) => customerKey) };
  },

  /** For a whole batch whose endpoint cannot serve: records the reason and signals `published`. */
  async rejectPublications({
    fleet,
    stage,
    publications,
    because,
  }: PublicationBatch & { readonly because: string }): Promise<void> {
    await rejectRequests(
      dependencies,
      { fleet, stage },
      publications.map((publication) => ({ ...publication, because })),
    );
  },
});
export type EndpointActivities = ReturnType<typeof createEndpointActivities>;

/** One publication to its end; what an earlier attempt has ended is only told again. */
async function settle(
  dependencies: EndpointDependencies,
  place: StageRef,
  request: Publication,
  asked: AskedVersion | undefined,
): Promise<void> {
  const reject = (because: string) =>
    rejectRequests(dependencies, place, [{ ...request, because }]);
  if (!asked?.release || !asked.publication) return reject("its artifact was not copied");
  if (isServing(asked)) return answerRelease(dependencies.temporal, request, servingOutcome(asked));
  if (asked.publication.state !== "copied")
    return reject(asked.publication.reason ?? "a newer version took its place");
  const verdict = await verifyModel(dependencies.runtime, {
    endpointName: endpointName(place.fleet, place.stage),
    targetModel: asked.targetModel,
    rows: asked.verificationRows,
    predictions: asked.predictions,
  });
  if (verdict.kind === "rejected") return reject(verdict.because);
  const refused = await serve(dependencies, place, asked, verdict);
  if (refused !== null) return reject(refused);
  await answerRelease(dependencies.temporal, request, servingOutcome(asked));
}

/** Why the version may not serve although it could; null when it does. */
async function serve(
  dependencies: EndpointDependencies,
  place: StageRef,
  asked: AskedVersion,
  { offline, served, latencyMs }: Verdict & { readonly kind: "same" },
): Promise<string | null> {
  const { customerKey, version, release } = asked;
  const verification = { offline, served, latencyMs };
  return recordServing(dependencies.ledger, place, { customerKey, version, verification }, () =>
    putPointer(dependencies, place, { ...asked, modelPackageArn: release?.modelPackageArn }),
  );
}
