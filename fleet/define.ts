/** The functions a fleet file is written with. They only shape data: reading the file checks it. */
import { durationSeconds } from "./duration.js";
import type { FleetDeclarationInput } from "./spec.schema.js";

type SourceInput = FleetDeclarationInput["source"];
type TrainingInput = FleetDeclarationInput["training"];
type PreparationInput = NonNullable<FleetDeclarationInput["preparation"]>;
type GateInput = NonNullable<FleetDeclarationInput["gate"]>;
type EndpointInput = FleetDeclarationInput["endpoint"];

type WithoutAccounts<Stages extends readonly object[]> = {
  [Place in keyof Stages]: Omit<Stages[Place], "account"> & { readonly account?: string };
};

/** A stage without an account is in that of the credentials it is run with: reading the file fills it in. */
export type FleetFile = Omit<FleetDeclarationInput, "stages"> & {
  readonly stages: WithoutAccounts<FleetDeclarationInput["stages"]>;
};

/** `export default defineFleet({ … })`: a family of models of one kind, one per customer. */
export const defineFleet = (fleet: FleetFile): FleetFile => fleet;

/** Rows come from Postgres. `query` is SQL, or the path of a `.sql` file relative to the fleet file. */
export const postgres = (source: Omit<SourceInput, "kind">): SourceInput => ({
  kind: "postgres",
  ...source,
});

type Kind<Union, Name extends string> = Extract<Union, { readonly kind: Name }>;
type ScriptInput = Kind<TrainingInput, "script">;
type ShardedInput = Kind<TrainingInput, "sharded">;
type PipelineInput = Kind<TrainingInput, "pipeline">;

/** Instead of seconds: a number with s, m, h or d, such as `30m`. */
interface MaxRuntime {
  readonly maxRuntime?: string;
}

/** Instead of seconds, likewise. */
interface WarmPool {
  readonly keepAlive?: string;
}

export type ScriptOptions = Omit<ScriptInput, "kind" | "source"> & WarmPool & MaxRuntime;

/** Training by the Python script in a folder, relative to the fleet file, in SageMaker's script mode. */
export const script = (source: string, options: ScriptOptions = {}): ScriptInput => ({
  kind: "script",
  source,
  ...inSeconds(keptAlive(options), "training"),
});

export type ShardedOptions = Omit<ShardedInput, "kind" | "source" | "spot"> &
  MaxRuntime & {
    /** Spot instances, and how long the job may take in all, such as `{ maxWait: "2h" }`. */
    readonly spot?: { readonly maxWait: string };
  };

/** One training job for all customers: each instance trains those whose files it was given. */
export const sharded = (
  source: string,
  { spot, ...options }: ShardedOptions = {},
): ShardedInput => ({
  kind: "sharded",
  source,
  ...inSeconds(options, "training"),
  ...(spot === undefined
    ? {}
    : { spot: { maxWaitSeconds: durationSeconds(spot.maxWait, "training.spot.maxWait") } }),
});

type PreprocessorInput = PipelineInput["preprocessor"];

export type PreprocessorOptions = Omit<PreprocessorInput, "source"> & MaxRuntime;

/** What prepares every customer's rows, in training and in serving: fitted once for all of them. */
export const preprocessor = (
  source: string,
  options: PreprocessorOptions = {},
): PreprocessorInput => ({ source, ...inSeconds(options, "training.preprocessor") });

export type PipelineOptions = Omit<PipelineInput, "kind" | "source"> & WarmPool & MaxRuntime;

/** A model for each customer behind a preprocessor that all of them share. */
export const pipeline = (source: string, options: PipelineOptions): PipelineInput => ({
  kind: "pipeline",
  source,
  ...inSeconds(keptAlive(options), "training"),
});

export type ProcessingOptions = Omit<PreparationInput, "kind" | "source"> & MaxRuntime;

/** Preparation by the Python script in a folder: one SageMaker Processing job between export and training. */
export const processing = (source: string, options: ProcessingOptions = {}): PreparationInput => ({
  kind: "processing",
  source,
  ...inSeconds(options, "preparation"),
});

function keptAlive<Options extends WarmPool>({
  keepAlive,
  ...options
}: Options): Omit<Options, "keepAlive"> & { keepAliveSeconds?: number } {
  return keepAlive === undefined
    ? options
    : { ...options, keepAliveSeconds: durationSeconds(keepAlive, "training.keepAlive") };
}

function inSeconds<Options extends MaxRuntime>(
  { maxRuntime, ...options }: Options,
  field: string,
): Omit<Options, "maxRuntime"> & { maxRuntimeSeconds?: number } {
  return maxRuntime === undefined
    ? options
    : { ...options, maxRuntimeSeconds: durationSeconds(maxRuntime, `${field}.maxRuntime`) };
}

/** When a challenger replaces the champion, and who says so. */
export const policy = (gate: GateInput): GateInput => gate;

type EndpointOptions<Name extends EndpointInput["kind"]> = Omit<Kind<EndpointInput, Name>, "kind">;

/** All customers of the fleet behind one endpoint, each model loaded when it is first called. */
export const multiModelEndpoint = (
  endpoint: EndpointOptions<"multi-model"> = {},
): EndpointInput => ({ kind: "multi-model", ...endpoint });

/** An endpoint for each customer that has no instances: it scales to zero. */
export const serverlessEndpoint = (
  endpoint: EndpointOptions<"serverless"> = {},
): EndpointInput => ({
  kind: "serverless",
  ...endpoint,
});

/** An endpoint of its own for each customer, always loaded. */
export const dedicatedEndpoint = (endpoint: EndpointOptions<"dedicated"> = {}): EndpointInput => ({
  kind: "dedicated",
  ...endpoint,
});

/** One endpoint whose requests pass the preprocessor of `pipeline(…)`, and then the customer's model. */
export const pipelineEndpoint = (endpoint: EndpointOptions<"pipeline"> = {}): EndpointInput => ({
  kind: "pipeline",
  ...endpoint,
});
