/** The functions a fleet file is written with. They only shape data: reading the file checks it. */
import { durationSeconds } from "./duration.js";
import type { FleetDeclarationInput } from "./spec.schema.js";

type SourceInput = FleetDeclarationInput["source"];
type TrainingInput = FleetDeclarationInput["training"];
type GateInput = NonNullable<FleetDeclarationInput["gate"]>;
type EndpointInput = FleetDeclarationInput["endpoint"];

/** `export default defineFleet({ … })`: a family of models of one kind, one per customer. */
export const defineFleet = (fleet: FleetDeclarationInput): FleetDeclarationInput => fleet;

/** Rows come from Postgres. `query` is SQL, or the path of a `.sql` file relative to the fleet file. */
export const postgres = (source: Omit<SourceInput, "kind">): SourceInput => ({
  kind: "postgres",
  ...source,
});

export type ScriptOptions = Omit<TrainingInput, "kind" | "source" | "maxRuntimeSeconds"> & {
  readonly maxRuntimeSeconds?: number;
  /** Instead of `maxRuntimeSeconds`: a number with s, m, h or d, such as `30m`. */
  readonly maxRuntime?: string;
};

/** Training by the Python script in a folder, relative to the fleet file, in SageMaker's script mode. */
export function script(source: string, options: ScriptOptions = {}): TrainingInput {
  const { maxRuntime, ...rest } = options;
  const runtime =
    maxRuntime === undefined
      ? {}
      : { maxRuntimeSeconds: durationSeconds(maxRuntime, "training.maxRuntime") };
  return { kind: "script", source, ...rest, ...runtime };
}

/** When a challenger replaces the champion, and who says so. */
export const policy = (gate: GateInput): GateInput => gate;

/** All customers of the fleet behind one endpoint, each model loaded when it is first called. */
export const multiModelEndpoint = (endpoint: Omit<EndpointInput, "kind"> = {}): EndpointInput => ({
  kind: "multi-model",
  ...endpoint,
});
