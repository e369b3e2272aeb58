/** A model of each machine's power; one whose sensor and bearings change is retrained before its month is over. */
import {
  defineFleet,
  monthly,
  multiModelEndpoint,
  policy,
  postgres,
  script,
  watchDrift,
  weekly,
} from "modelfleet";

export default defineFleet({
  name: "machines",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "./machine-hours.sql",
    customer: "machine",
    target: "power",
    window: { months: 2 },
    split: { validation: 0.2, test: 0.2 },
    minimumRows: 200,
  }),
  training: script("../../training/xgboost_regression", {
    hyperparameters: { num_round: "60", max_depth: "4", eta: "0.2" },
  }),
  gate: policy({ metric: "rmse", better: 0, autoApprove: { betterThanBaseline: 0.3 } }),
  endpoint: multiModelEndpoint({ instanceType: "ml.m5.large" }),
  stages: [{ name: "sandbox" }], // In the account of your credentials.
  concurrency: 4,
  schedule: monthly({ day: 1, at: "03:00", timezone: "UTC" }),
  drift: watchDrift({
    schedule: weekly({ day: "MON", at: "05:00" }),
    psi: 0.25, // A column whose distribution has moved so far …
    ks: 0.3,
    error: { ratio: 1.5, sample: 200 }, // … or an error that is half as large again.
    minimumRows: 200,
    coolDown: "14d",
    maxRetrainings: 3,
  }),
});
