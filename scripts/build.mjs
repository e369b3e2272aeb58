/** Compiles the TypeScript to dist/ and prebuilds the workflow bundle. Runs after every install (`prepare`). */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

// Set-up installs first and then builds with its own progress line: not twice.
if (process.env.npm_lifecycle_event === "prepare" && process.env.MODELFLEET_SETUP) process.exit(0);

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");

execFileSync(
  process.execPath,
  [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"],
  {
    cwd: root,
    stdio: "inherit",
  },
);

// The ledger's migrations lie beside the code that applies them.
cpSync(join(root, "activities/ledger"), join(dist, "activities/ledger"), {
  recursive: true,
  filter: (path) => !path.endsWith(".ts"),
});

// The bundle must be built by the worker version that runs it, so it is made here and never committed.
const { bundleWorkflowCode } = await import("@temporalio/worker");
const quiet = {
  trace() {},
  debug() {},
  info() {},
  warn: console.warn,
  error: console.error,
  log() {},
};
// The second one is for workers that encrypt: its failures travel as payloads, which the codec can encrypt.
for (const [file, converter] of [
  ["workflow-bundle.js", {}],
  [
    "workflow-bundle-encoded.js",
    { failureConverterPath: join(dist, "settings/encoded-failures.js") },
  ],
]) {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(dist, "workflows/index.js"),
    workflowInterceptorModules: [join(dist, "workflows/interceptors.js")],
    logger: quiet,
    ...converter,
  });
  writeFileSync(join(dist, file), code);
}

// `npx modelfleet` inside the checkout: npm links the bins of dependencies, not the package's own.
const bin = join(root, "node_modules/.bin/modelfleet");
if (process.platform !== "win32" && existsSync(join(root, "node_modules"))) {
  mkdirSync(dirname(bin), { recursive: true });
  rmSync(bin, { force: true });
  symlinkSync("../../bin/modelfleet.js", bin);
}
