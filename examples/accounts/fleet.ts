/** The houses of a few cities, whose models go through three stages, each in an AWS account of its own. */
import { defineFleet, multiModelEndpoint, policy, postgres, script } from "modelfleet";

/** On AWS your own; these are the local stack's. */
const { QA_ACCOUNT = "222222222222", PROD_ACCOUNT = "333333333333" } = process.env;

/** What the worker assumes there, where the models are, and what SageMaker assumes. */
const elsewhere = (name: string, account: string) => ({
  name,
  account,
  role: `arn:aws:iam::${account}:role/modelfleet-stage`,
  externalId: `modelfleet-${name}`,
  bucket: `modelfleet-${account}`,
  executionRole: `arn:aws:iam::${account}:role/modelfleet-execution`,
});

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
  stages: [
    { name: "sandbox", approval: "none" }, // In the account of your credentials, where models are trained.
    { ...elsewhere("qa", QA_ACCOUNT), lag: "2s" },
    { ...elsewhere("prod", PROD_ACCOUNT), lag: "3s", instances: 2 },
  ],
});
