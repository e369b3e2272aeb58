/** The package's public entry: what a fleet file imports. */
export {
  dedicatedEndpoint,
  defineFleet,
  multiModelEndpoint,
  pipeline,
  pipelineEndpoint,
  policy,
  postgres,
  preprocessor,
  processing,
  script,
  serverlessEndpoint,
  sharded,
} from "./fleet/define.js";
export { categorical, continuous, integer, xgboostRanges } from "./fleet/ranges.js";
export type {
  FleetFile,
  PipelineOptions,
  PreprocessorOptions,
  ProcessingOptions,
  ScriptOptions,
  ShardedOptions,
} from "./fleet/define.js";
export { watchDrift } from "./fleet/drift.js";
export { calendar, cron, daily, monthly, quarterly, weekly } from "./fleet/schedule.js";
export type { GatePolicy } from "./fleet/gate.schema.js";
export type { ParameterRange, ParameterRanges, Scaling } from "./fleet/ranges.js";
export type {
  FleetDeclaration,
  FleetDeclarationInput,
  FleetSpec,
  SplitSpec,
} from "./fleet/spec.schema.js";
export type { TuningSpec } from "./fleet/tuning.schema.js";
