/** The words that an endpoint's parts share: what is to run, what is asked of it, within which limits. */

export interface VariantPlan {
  readonly name: string;
  readonly weight: number;
  readonly containers: readonly ContainerPlan[];
  /** Several containers: one after the other, or the one that a request names. */
  readonly execution?: "Serial" | "Direct" | undefined;
  /** Containers that come and go with the requests, in place of instances that stay. */
  readonly serverless?: ServerlessPlan | undefined;
  /** How many instances the variant is said to have; all of them are one here. */
  readonly instances?: number | undefined;
}

export interface ServerlessPlan {
  readonly memoryMb: number;
  readonly maxConcurrency: number;
  /** So many containers stay, whether anybody asks or not. */
  readonly provisionedConcurrency: number;
}

export interface ContainerPlan {
  readonly image: string;
  readonly mode: "SingleModel" | "MultiModel";
  /** What a request to one of several containers calls it. */
  readonly hostname?: string | undefined;
  /** SingleModel: the .tar.gz object. MultiModel: the prefix that TargetModel is relative to. */
  readonly modelDataUrl?: string | undefined;
  /** MultiModel: false when a model is to be dropped after each of its invocations. */
  readonly cachesModels?: boolean | undefined;
  readonly environment: Readonly<Record<string, string>>;
  /** Who reads the artifacts. */
  readonly role?: string | undefined;
}

export interface InvokeRequest {
  readonly body: Uint8Array;
  readonly contentType?: string | undefined;
  readonly accept?: string | undefined;
  readonly customAttributes?: string | undefined;
  readonly targetModel?: string | undefined;
  readonly targetVariant?: string | undefined;
  readonly targetContainerHostname?: string | undefined;
  readonly requestId: string;
  /** When it came in, on the clock of performance.now(). */
  readonly receivedAtMs?: number | undefined;
}

export interface InvokeResponse {
  readonly body: Buffer;
  readonly contentType: string;
  readonly customAttributes?: string | undefined;
  readonly invokedProductionVariant: string;
}

export interface FleetLimits {
  /** AWS: a container has 60 s to answer an invocation. */
  readonly invocationMs: number;
  /** AWS: a request waits 60 s for its model, and the load goes on for up to 360 s. */
  readonly loadWaitMs: number;
  readonly loadTimeoutMs: number;
  /** AWS: 4 minutes until the first healthy ping. */
  readonly startupMs: number;
  /** Requests of one variant under way at a time; AWS's number depends on the instances. */
  readonly requestsPerVariant: number;
  /** Disk for unpacked models of one container. */
  readonly diskLimitMb: number;
  /** How long a serverless container stays without a request; AWS does not publish its time. */
  readonly serverlessIdleMs: number;
}
