/** Brings artifacts and code from S3 to the disk, and says in AWS's words when it cannot. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { ModelFiles } from "./cached-model.js";
import type { ContainerPlan } from "./serving-plan.js";
import { ArchiveError, unpackArchive } from "./model-archive.js";
import { validationError } from "./runtime-error.js";

export interface FilesOptions {
  readonly plan: ContainerPlan;
  /** The container's /opt/ml. */
  readonly baseDir: string;
  readonly readObject: (url: string, role?: string) => Promise<Readable>;
  /** More unpacked bytes of one archive than this are refused. */
  readonly limitBytes: number;
}

/**
 * Puts the code, and a single model, where the container expects them; returns how many bytes they take.
 * Throws with a FailureReason.
 */
export async function prepareFiles(options: FilesOptions): Promise<number> {
  const { plan, baseDir, readObject, limitBytes } = options;
  await mkdir(baseDir, { recursive: true });
  const bring = async (url: string, folder: string): Promise<number> => {
    try {
      const archive = await readObject(url, plan.role);
      return await unpackArchive(archive, { folder: join(baseDir, folder), limitBytes });
    } catch (error) {
      throw new Error(failureText(url, error), { cause: error });
    }
  };
  const codeUrl = plan.environment.SAGEMAKER_SUBMIT_DIRECTORY;
  const codeBytes = codeUrl?.startsWith("s3://") === true ? await bring(codeUrl, "code") : 0;
  if (plan.mode === "SingleModel" && plan.modelDataUrl !== undefined)
    return codeBytes + (await bring(plan.modelDataUrl, "model"));
  await mkdir(join(baseDir, "model"), { recursive: true });
  return codeBytes;
}

/** Brings one model of a multi-model container; throws the ValidationError that callers get. */
export async function fetchModel(
  options: FilesOptions,
  model: { readonly targetModel: string; readonly name: string },
): Promise<ModelFiles> {
  const { plan, readObject, limitBytes } = options;
  const url = `${plan.modelDataUrl ?? ""}${model.targetModel}`;
  const folder = join(modelFolder(options, model.name), "model");
  try {
    const bytes = await unpackArchive(await readObject(url, plan.role), { folder, limitBytes });
    return { folder, bytes };
  } catch (error) {
    await deleteModel(options, model.name);
    throw validationError(failureText(url, error));
  }
}

export async function deleteModel(options: FilesOptions, name: string): Promise<void> {
  await rm(modelFolder(options, name), { recursive: true, force: true });
}

function modelFolder(options: FilesOptions, name: string): string {
  return join(options.baseDir, "models", name);
}

function failureText(url: string, error: unknown): string {
  if (error instanceof ArchiveError) {
    return (
      `Failed to extract model data archive for container from URL "${url}". ` +
      `Please ensure that the object located at the URL is a valid tar.gz archive (${error.message}).`
    );
  }
  const [, bucket = "", key = ""] = /^s3:\/\/([^/]*)\/?(.*)$/s.exec(url) ?? [];
  const text = `Failed to download model data (bucket: ${bucket}, key: ${key})`;
  // AWS says no more. What is not simply a missing object is worth telling here.
  return isNotFound(error)
    ? text
    : `${text}: ${error instanceof Error ? error.message : "unknown"}`;
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && (error.name === "NoSuchKey" || error.name === "NotFound");
}
