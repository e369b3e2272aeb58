/** A fleet by somebody who has read docs/reference/fleet-file.md and training/README.md, and nothing else. */
import { categorical, dedicatedEndpoint, defineFleet, policy, postgres, script } from "modelfleet";

export default defineFleet({
  name: "ice-cream",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "./sales.sql",
    customer: "shop",
    target: "sold",
    window: { months: 1 },
    split: { validation: 0.2, test: 0.2 },
    minimumRows: 30,
  }),
  training: script("./ridge", {
    framework: "scikit-learn",
    dependencies: ["../../../training/xgboost_regression/model_evaluation"],
  }),
  tuning: {
    ranges: { alpha: categorical("0.1", "1", "10") },
    strategy: "Grid",
    maxJobs: 3,
    warmStart: false,
  },
  gate: policy({ metric: "mae", better: 0, autoApprove: { betterThanBaseline: 0.1 } }),
  endpoint: dedicatedEndpoint({ instanceType: "ml.m5.large" }),
  stages: [{ name: "sandbox", account: "111111111111" }],
});
