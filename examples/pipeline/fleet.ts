/** Raw rows in, the price of a house out: one preprocessor for all locations, and a linear model for each. */
import {
  defineFleet,
  pipeline,
  pipelineEndpoint,
  policy,
  postgres,
  preprocessor,
} from "modelfleet";

export default defineFleet({
  name: "house-prices",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "./houses.sql",
    customer: "location",
    target: "price",
    window: { months: 12, pushbackDays: 0 },
    split: { by: "hash", validation: 0.2, test: 0.2 },
    minimumRows: 50,
  }),
  training: pipeline("./linear", {
    framework: "scikit-learn",
    dependencies: ["../../training/xgboost_regression/model_evaluation"],
    hyperparameters: { alpha: "1" },
    preprocessor: preprocessor("./preprocessor", { transform: { maxPayloadInMb: 6 } }),
  }),
  gate: policy({ metric: "rmse", better: 0, autoApprove: { betterThanBaseline: 0.3 } }),
  endpoint: pipelineEndpoint({ instanceType: "ml.m5.xlarge" }),
  stages: [{ name: "sandbox" }], // In the account of your credentials.
  concurrency: 4, // Training jobs at a time, as in the article.
});
