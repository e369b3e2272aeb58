/** One model per destination of New York's airports: how late will this flight arrive? */
import {
  continuous,
  defineFleet,
  integer,
  monthly,
  multiModelEndpoint,
  policy,
  postgres,
  script,
} from "modelfleet";

export default defineFleet({
  name: "flight-delays",
  source: postgres({
    connection: "WAREHOUSE_URL", // The name of a secret, never the secret.
    query: "./flights.sql",
    customers: "./destinations.sql",
    customer: "dest",
    target: "arr_delay",
    window: { months: 6, pushbackDays: 0 }, // Delays are known the same day.
    split: { by: "hash", validation: 0.3, test: 0.1 },
    minimumRows: 50,
  }),
  training: script("../../training/xgboost_regression", {
    instanceType: "ml.m5.large",
    hyperparameters: { num_round: "150" },
  }),
  // Each month's search starts from what the month before has found.
  tuning: {
    ranges: {
      eta: continuous(0.03, 0.3, "Logarithmic"),
      max_depth: integer(3, 8),
      subsample: continuous(0.5, 1),
    },
    maxJobs: 3,
    seed: 2013, // The same data find the same models.
    warmStart: { parents: 2 },
  },
  // A model whose error is 30 % below predict-the-mean goes live by itself; a person looks at the others.
  gate: policy({ metric: "rmse", better: 0.02, autoApprove: { betterThanBaseline: 0.3 } }),
  endpoint: multiModelEndpoint({ instanceType: "ml.m5.xlarge", instances: 1 }),
  stages: [{ name: "sandbox" }], // In the account of your credentials.
  concurrency: 50,
  failureBudget: 0.05,
  // `modelfleet apply` makes it a Temporal Schedule: docs/retrain.md.
  schedule: monthly({ day: 1, at: "03:00", timezone: "UTC", jitter: "10m" }),
});
