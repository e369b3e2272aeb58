/** Where a version of a customer's model serves: on which endpoint, under which name, from which object. */
import {
  endpointName,
  pipelineEndpointName,
  s3Keys,
  targetModel,
  type ArtifactNaming,
  type StageModelKey,
} from "./names.js";
import type { EndpointSpec } from "./spec.schema.js";

export type EndpointKind = EndpointSpec["kind"];

/** How a version serves, or is to: by the spec that it was made with. */
export interface Serving {
  readonly kind: EndpointKind;
  readonly naming: ArtifactNaming;
  /** Of the preprocessor that the model was made behind; null without one. */
  readonly generation: number | null;
}

export interface ServingAddress {
  readonly endpointName: string;
  /** What InvokeEndpoint is called with; null on an endpoint that has one model only. */
  readonly targetModel: string | null;
  /** S3 key of what the endpoint loads. */
  readonly artifactKey: string;
}

export interface ServedVersion extends StageModelKey {
  readonly version: number;
}

/** An endpoint of his own: what it serves is told by its config, and changes with it. */
export const hasOwnEndpoint = (kind: EndpointKind): boolean =>
  kind === "serverless" || kind === "dedicated";

/** Publishing replaces what serves before it is verified: if that fails, the version before has to be put back. */
export const replacesInPlace = ({ kind, naming }: Serving): boolean =>
  hasOwnEndpoint(kind) || naming === "stable";

export function servingAddress(
  { kind, naming, generation }: Serving,
  { fleet, stage, customerKey, version }: ServedVersion,
): ServingAddress {
  const target = targetModel(customerKey, version, naming);
  const artifactKey = s3Keys.artifact({ fleet, stage, targetModel: target, generation });
  switch (kind) {
    case "multi-model":
      return { endpointName: endpointName(fleet, stage), targetModel: target, artifactKey };
    case "serverless":
    case "dedicated":
      return {
        endpointName: endpointName(fleet, stage, customerKey),
        targetModel: null,
        artifactKey,
      };
    case "pipeline":
      return {
        endpointName: pipelineEndpointName(fleet, stage, generation ?? 1),
        targetModel: target,
        artifactKey,
      };
  }
}
