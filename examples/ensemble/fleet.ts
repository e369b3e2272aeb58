/** Two models in one: CatBoost and XGBoost, trained by one job, tuned together, blended behind one endpoint. */
import {
  continuous,
  defineFleet,
  integer,
  policy,
  postgres,
  script,
  serverlessEndpoint,
} from "modelfleet";

export default defineFleet({
  name: "diabetes-ensemble",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "./diabetes.sql",
    customer: "cohort",
    target: "progression",
    window: { months: 12, pushbackDays: 0 },
    split: { by: "hash", validation: 0.2, test: 0.2 },
    minimumRows: 100,
  }),
  training: script("./blend", {
    framework: "scikit-learn", // Without CatBoost and XGBoost: blend/requirements.txt adds them.
    dependencies: ["./cross_validation", "../../training/xgboost_regression/model_evaluation"],
    instanceType: "ml.m5.large",
    keepAlive: "60s", // The next job of the search starts on the instance of the one before.
    hyperparameters: { num_round: "200", k_fold: "5" },
  }),
  tuning: {
    ranges: { eta: continuous(0.2, 0.3), max_depth: integer(3, 4) },
    objective: "validation:rmse",
    maxJobs: 4,
    parallel: 1,
    seed: 442, // The same patients find the same models.
    warmStart: { parents: 1 },
  },
  gate: policy({ metric: "rmse", better: 0, autoApprove: { betterThanBaseline: 0.1 } }),
  endpoint: serverlessEndpoint({ memorySizeInMb: 2048, maxConcurrency: 5 }),
  stages: [{ name: "sandbox" }], // In the account of your credentials.
});
