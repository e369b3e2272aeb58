/** The published service models of SageMaker, its runtime, STS and CloudWatch, as botocore ships them. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";

/** One shape of a service model: only what a server needs to check and to lay out messages. */
export interface Shape {
  readonly type: string;
  readonly required?: readonly string[];
  readonly members?: Readonly<Record<string, MemberReference>>;
  readonly member?: MemberReference;
  readonly key?: MemberReference;
  readonly value?: MemberReference;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly min?: number;
  readonly max?: number;
  readonly union?: boolean;
}

interface MemberReference {
  readonly shape: string;
  readonly location?: string;
  readonly locationName?: string;
}

export interface ServiceModel {
  readonly operations: Readonly<Record<string, { readonly input?: { readonly shape: string } }>>;
  readonly shapes: Readonly<Record<string, Shape>>;
}

export interface ServiceModels {
  readonly sagemaker: ServiceModel;
  readonly runtime: ServiceModel;
  readonly sts: ServiceModel;
  readonly cloudWatch: ServiceModel;
}

/** Reads the models out of the botocore package that the given Python interpreter imports. */
export async function loadServiceModels(python: string): Promise<ServiceModels> {
  const folder = join(await sitePackages(python), "botocore", "data");
  const [sagemaker, runtime, sts, cloudWatch] = await Promise.all([
    readModel(join(folder, "sagemaker", "2017-07-24", "service-2.json.gz")),
    readModel(join(folder, "sagemaker-runtime", "2017-05-13", "service-2.json.gz")),
    readModel(join(folder, "sts", "2011-06-15", "service-2.json.gz")),
    readModel(join(folder, "cloudwatch", "2010-08-01", "service-2.json.gz")),
  ]);
  return { sagemaker, runtime, sts, cloudWatch };
}

export function shapeOf(model: ServiceModel, name: string): Shape {
  const shape = model.shapes[name];
  if (shape === undefined) throw new Error(`the service model has no shape ${name}`);
  return shape;
}

async function sitePackages(python: string): Promise<string> {
  const program = "import sysconfig; print(sysconfig.get_paths()['purelib'])";
  const { stdout } = await promisify(execFile)(python, ["-I", "-c", program]);
  return stdout.trim();
}

async function readModel(file: string): Promise<ServiceModel> {
  const packed = await readFile(file).catch((cause: unknown) => {
    throw new Error(`no service model at ${file}: install botocore beside that Python`, { cause });
  });
  const text = (await promisify(gunzip)(packed)).toString("utf8");
  // Documentation is two thirds of the file and of no use to a server.
  const withoutDocumentation = (key: string, value: unknown): unknown =>
    key === "documentation" && typeof value === "string" ? undefined : value;
  return JSON.parse(text, withoutDocumentation) as ServiceModel; // AWS publishes it; shape() checks.
}
