/** For each source folder of the examples: a job small enough for a test, and requests that its model answers. */
import { flights, schemaFile, channels as flightChannels } from "../dataset.js";
import type { ModelRequest } from "./published-toolkits.js";

export interface ExampleInputs {
  /** By host, that host's channels: one is given its own share of a sharded channel. */
  readonly hosts: Readonly<Record<string, Channels>>;
  readonly hyperparameters?: Readonly<Record<string, string>>;
  /** The artifact that is served, when it is not what lies in the model's folder; from the job's. */
  readonly artifact?: string;
  readonly requests: readonly ModelRequest[];
  /** Of the container in batch transform, with requests of its own. */
  readonly batch?: readonly ModelRequest[];
}

export type Channels = Readonly<Record<string, Readonly<Record<string, string>>>>;

const csv = (body: string): ModelRequest => ({ contentType: "text/csv", accept: "text/csv", body });
const json = (body: string, contentType = "text/csv"): ModelRequest => ({
  ...{ contentType, accept: "application/json" },
  body,
});
/** What is said to a caller who does not care, by a container whose default nobody has set. */
const any = (body: string, contentType = "text/csv"): ModelRequest => ({
  ...{ contentType, accept: "*/*" },
  body,
});

export const exampleInputs: Readonly<Record<string, ExampleInputs>> = {
  "training/xgboost_regression": {
    hosts: { "algo-1": flightChannels() },
    hyperparameters: { num_round: "20" },
    requests: [
      csv("10,NA,12\n,AA,5\n"),
      json("10,NA,12"),
      any('3,"B6, Inc.",7'),
      csv("10,AA"), // A field is missing.
      { contentType: "text/csv; charset=utf-8", accept: "text/csv", body: "10,NA,12" },
    ],
  },
  "training/prophet_forecast": {
    hosts: {
      "algo-1": { customers: { "a.csv": consumption(1) }, schema: timeSchema() },
      "algo-2": { customers: { "b.csv": consumption(2) }, schema: timeSchema() },
    },
    artifact: "checkpoints/a.tar.gz",
    requests: [
      json('{"period": 7}', "application/json"),
      any('{"period": 2, "frequency": "h"}', "application/json"),
      csv("2025-01-20T01:00:00\n2025-01-20 02:00:00.5+01:00\n"),
      json('{"period": 0}', "application/json"), // Refused.
    ],
  },
  "examples/ensemble/blend": {
    hosts: { "algo-1": numberChannels(3) },
    hyperparameters: { num_round: "10", k_fold: "2" },
    requests: [csv("1,2,3\n4,5,6\n"), json("1,2,3"), any("1,2,3")],
  },
  "examples/pipeline/preprocessor": {
    hosts: {
      "algo-1": {
        train: { "a.csv": flights({ rows: 60, seed: 1 }), "b.csv": flights({ rows: 40, seed: 2 }) },
        schema: schemaFile(),
      },
    },
    requests: [csv("10,NA,12\n,AA,5\n"), any("10,ZZ,12"), csv("10,AA")],
    batch: [csv("31.5,10,NA,12\n7,,AA,5\n")],
  },
  "examples/pipeline/linear": {
    hosts: { "algo-1": numberChannels(2) },
    hyperparameters: { alpha: "0.5" },
    requests: [json("1,2\n3,4\n"), csv("1,2"), any("1,2"), csv("1,2,3")],
  },
};

/** Numbers only, the target first: a sum of the features. */
function numberChannels(features: number): Channels {
  const rows = (count: number, seed: number): Record<string, string> => {
    const random = randomFrom(seed);
    const lines = Array.from({ length: count }, () => {
      const values = Array.from({ length: features }, () => random() * 10);
      const target = values.reduce((sum, value, index) => sum + value * (index + 1), random());
      return [target, ...values].map((value) => value.toFixed(4)).join(",");
    });
    return { "data.csv": `${lines.join("\n")}\n` };
  };
  const names = Array.from({ length: features }, (_none, index) => `x${index}`);
  return {
    train: rows(80, 1),
    validation: rows(30, 2),
    test: rows(30, 3),
    schema: schemaFile(names.map((name) => ({ name, type: "number" }))),
  };
}

/** One customer's file of a sharded channel: the oldest hours train, the newest test. */
function consumption(seed: number): string {
  const random = randomFrom(seed);
  const hours = 20 * 24;
  const lines = Array.from({ length: hours }, (_none, hour) => {
    const channel = hour < 0.8 * hours ? "train" : hour < 0.9 * hours ? "validation" : "test";
    const value = 500 + 200 * Math.sin((2 * Math.PI * hour) / 24) + 60 * (random() - 0.5);
    const time = new Date(Date.UTC(2025, 0, 1, hour)).toISOString().slice(0, 19);
    return `${channel},${value.toFixed(3)},${time}\n`;
  });
  return lines.join("");
}

function timeSchema(): Record<string, string> {
  const columns = [{ name: "measured_at", type: "category" }];
  return { "columns.json": JSON.stringify({ target: "consumption", columns }) };
}

function randomFrom(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}
