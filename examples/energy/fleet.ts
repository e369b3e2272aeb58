/** One forecast of energy consumption for each of thousands of customers, all from one training job. */
import { defineFleet, monthly, multiModelEndpoint, policy, postgres, sharded } from "modelfleet";

export default defineFleet({
  name: "energy",
  source: postgres({
    connection: "WAREHOUSE_URL", // The name of a secret, never the secret.
    query: "./consumption.sql",
    customer: "customer_id",
    target: "consumption",
    window: { months: 2 },
    // The newest hours judge, those before them stand ready for a search: a forecast looks ahead.
    split: { by: "time", column: "measured_at", validation: 0.1, test: 0.1 },
    minimumRows: 14 * 24,
  }),
  // Two instances share out the customers' files. What a spot interruption takes away is trained again, nothing else.
  training: sharded("../../training/prophet_forecast", {
    dependencies: ["../../training/xgboost_regression/model_evaluation"],
    framework: "scikit-learn",
    instanceType: "ml.m5.xlarge",
    instances: 2,
    maxRuntime: "2h",
    spot: { maxWait: "4h" },
  }),
  // The cohort is one release. A customer whose forecast got worse is left out of it: the old model stays.
  gate: policy({ metric: "rmse", better: 0, autoApprove: { betterThanBaseline: 0.1 } }),
  endpoint: multiModelEndpoint({ instanceType: "ml.m5.xlarge" }),
  stages: [{ name: "sandbox" }], // In the account of your credentials.
  failureBudget: 0.01,
  schedule: monthly({ day: 1, at: "03:00", timezone: "UTC", jitter: "10m" }),
});
