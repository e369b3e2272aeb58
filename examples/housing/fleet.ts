/** One model for each city: what is a house worth there? */
import { defineFleet, monthly, multiModelEndpoint, policy, postgres, script } from "modelfleet";

export default defineFleet({
  name: "housing",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "./houses.sql",
    customer: "city",
    target: "price",
    window: { months: 12 },
    split: { by: "hash", validation: 0.3, test: 0.1 }, // 0.6 is left to train on.
    minimumRows: 50,
  }),
  // Minimises the squared error: reg:squarederror, which XGBoost once called reg:linear.
  training: script("../../training/xgboost_regression", {
    instanceType: "ml.m5.xlarge",
    hyperparameters: { num_round: "100", max_depth: "5", eta: "0.2" },
  }),
  // Any model that is no worse than the one that serves, and better than the city's mean price.
  gate: policy({ metric: "rmse", better: 0, autoApprove: { betterThanBaseline: 0.3 } }),
  endpoint: multiModelEndpoint({ instanceType: "ml.m5.xlarge", instances: 1 }),
  stages: [{ name: "sandbox" }], // In the account of your credentials.
  concurrency: 4, // Training jobs at a time.
  schedule: monthly({ day: 1, at: "03:00", timezone: "UTC" }),
});
