/** The workflows as one file of code, and the build that it makes. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode } from "@temporalio/worker";

export interface WorkflowBundle {
  readonly code: string;
  /** Path of the module whose failures are encoded, when the bundle has them; a worker needs the same. */
  readonly failureConverterPath: string | undefined;
}

/**
 * Made by the build; made here when the worker runs from the sources. With `encodeFailures`, the one whose failures
 * travel as payloads, for a worker that encrypts those.
 */
export async function workflowBundle(options: {
  readonly encodeFailures: boolean;
}): Promise<WorkflowBundle> {
  const failureConverterPath = options.encodeFailures
    ? here("../settings/encoded-failures.js")
    : undefined;
  const built = here(
    options.encodeFailures ? "../workflow-bundle-encoded.js" : "../workflow-bundle.js",
  );
  if (existsSync(built)) return { code: readFileSync(built, "utf8"), failureConverterPath };
  const { code } = await bundleWorkflowCode({
    workflowsPath: here("../workflows/index.js"),
    workflowInterceptorModules: [here("../workflows/interceptors.js")],
    ...(failureConverterPath === undefined ? {} : { failureConverterPath }),
  });
  return { code, failureConverterPath };
}

/** This version of the package and these workflows, such as `0.1.0-3f2a91c04d5e`: another build differs. */
export function buildIdOf(bundle: WorkflowBundle): string {
  const hash = createHash("sha256").update(bundle.code).digest("hex").slice(0, 12);
  return `${packageVersion()}-${hash}`;
}

function packageVersion(): string {
  // From dist/worker/ as from worker/, the nearest package.json above is ours.
  const file = [here("../package.json"), here("../../package.json")].find(existsSync);
  const described: unknown = JSON.parse(readFileSync(file ?? here("../package.json"), "utf8"));
  const found = typeof described === "object" && described !== null && "version" in described;
  return found ? String(described.version) : "0.0.0";
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
