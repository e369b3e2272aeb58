/** The package's public entry: what a fleet file imports. */
export { defineFleet, multiModelEndpoint, policy, postgres, script } from "./fleet/define.js";
export type { ScriptOptions } from "./fleet/define.js";
export type {
  FleetDeclaration,
  FleetDeclarationInput,
  FleetSpec,
  GatePolicy,
  SplitSpec,
} from "./fleet/spec.schema.js";
