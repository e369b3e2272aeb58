/** The houses of a few cities, whose models go through three stages. */
import { defineFleet, multiModelEndpoint, policy, postgres, script } from "modelfleet";

export default defineFleet({
  name: "accounts",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "./houses.sql",
    customer: "city",
    target: "price",
    window: { months: 12 },
    split: { by: "hash", validation: 0.3, test: 0.1 },
    minimumRows: 50,
  }),
  training: script("../../training/xgboost_regression", {
    hyperparameters: { num_round: "100", max_depth: "5", eta: "0.2" },
  }),
  gate: policy({ metric: "rmse", better: -1, autoApprove: { betterThanBaseline: 0.3 } }),
  endpoint: multiModelEndpoint({ instanceType: "ml.m5.large" }),
  // One account with three stages. A stage elsewhere also names its role, bucket and executionRole.
  stages: [
    { name: "sandbox", account: "111111111111", approval: "none" },
    { name: "qa", account: "111111111111", lag: "2s" },
    { name: "prod", account: "111111111111", lag: "3s", instances: 2 },
  ],
});
