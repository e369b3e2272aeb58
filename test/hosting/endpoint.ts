/** Endpoints for tests: an inference.py whose models are text files, and a fleet that ends with its test. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { deployEndpointFleet } from "../../local/sagemaker/endpoint-fleet.js";
import type { EndpointFleet } from "../../local/sagemaker/endpoint-fleet.js";
import type {
  ContainerPlan,
  FleetLimits,
  InvokeRequest,
  VariantPlan,
} from "../../local/sagemaker/serving-plan.js";
import type { VariantMetric } from "../../local/sagemaker/variant-metrics.js";
import type { PythonHost } from "../../local/sagemaker/python-host.js";
import { fakeS3, tarGz } from "./artifacts.js";
import type { FakeS3 } from "./artifacts.js";

/** The model is the artifact's model.txt; requests can ask for every kind of trouble. */
export const textInference = `
import os, time
from pathlib import Path

def model_fn(model_dir):
    text = Path(model_dir, "model.txt").read_text()
    if text.startswith("slow"):
        while Path(text.split()[1]).exists(): time.sleep(0.005)
    if text == "broken": raise ValueError("this model is broken")
    if text == "huge": raise MemoryError()
    return text

def input_fn(data, content_type): return data

def predict_fn(data, model):
    if data == "crash": os._exit(137)
    if data == "raise": raise ValueError("no such row")
    if data == "teapot":
        error = RuntimeError("short and stout")
        error.status_code = 418
        raise error
    if data == "sleep": time.sleep(30)
    if data == "large": return "x" * (7 * 1024 * 1024)
    return f"{model}:{data}"

def output_fn(prediction, accept): return prediction
`;

export const image = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1";
export const prefix = "s3://bucket/models/";

export interface TestEndpoint {
  readonly fleet: EndpointFleet;
  readonly s3: FakeS3;
  readonly workDir: string;
  readonly log: string[];
  /** What the variants have told their meters, in order. */
  readonly told: (readonly [VariantMetric, number])[];
  /** Invokes with a text body and returns the answer's text. */
  readonly ask: (body: string, more?: Partial<InvokeRequest>) => Promise<string>;
}

export interface TestEndpointOptions {
  readonly host: PythonHost;
  readonly folder: string;
  readonly inference?: string;
  readonly models?: Record<string, string>;
  readonly objects?: Record<string, Buffer>;
  readonly container?: Partial<ContainerPlan>;
  readonly variants?: (container: ContainerPlan) => VariantPlan[];
  readonly memoryLimitMb?: number;
  readonly limits?: Partial<FleetLimits>;
}

export async function deployTestEndpoint(options: TestEndpointOptions): Promise<TestEndpoint> {
  const s3 = fakeS3();
  const code = await tarGz({ "inference.py": options.inference ?? textInference });
  s3.objects.set("s3://bucket/code/sourcedir.tar.gz", code);
  for (const [key, text] of Object.entries(options.models ?? {})) {
    s3.objects.set(prefix + key, await tarGz({ "model.txt": text }));
  }
  for (const [url, content] of Object.entries(options.objects ?? {})) s3.objects.set(url, content);
  const container: ContainerPlan = {
    image,
    mode: "MultiModel",
    modelDataUrl: prefix,
    environment: {
      SAGEMAKER_PROGRAM: "inference.py",
      SAGEMAKER_SUBMIT_DIRECTORY: "s3://bucket/code/sourcedir.tar.gz",
    },
    ...options.container,
  };
  const workDir = mkdtempSync(join(options.folder, "endpoint-"));
  const log: string[] = [];
  const told: (readonly [VariantMetric, number])[] = [];
  const tell = (metric: VariantMetric, value: number) => void told.push([metric, value]);
  const fleet = deployEndpointFleet({
    endpointName: "flights",
    account: "111111111111",
    region: "us-east-1",
    variants: options.variants?.(container) ?? [
      { name: "AllTraffic", weight: 1, containers: [container] },
    ],
    readObject: (url) => s3.readObject(url),
    workDir,
    host: options.host,
    memoryLimitMb: options.memoryLimitMb ?? 512,
    onLine: (line) => log.push(line),
    meter: () => ({ sample: tell, gauge: tell }),
    ...(options.limits && { limits: options.limits }),
  });
  onTestFinished(() => fleet.close());
  const ask = async (body: string, more: Partial<InvokeRequest> = {}): Promise<string> => {
    const response = await fleet.invoke({
      body: Buffer.from(body),
      contentType: "text/csv",
      requestId: "request-1",
      ...more,
    });
    return response.body.toString("utf8");
  };
  return { fleet, s3, workDir, log, told, ask };
}
