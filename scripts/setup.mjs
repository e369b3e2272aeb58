/**
 * What `npm run demo` and `npm test` need before any of our code can run: packages installed as the lockfile
 * says, and dist/ built from the sources as they are. Plain JavaScript without dependencies; does nothing when
 * all is up to date.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const sources = [
  "fleet",
  "settings",
  "workflows",
  "activities",
  "worker",
  "client",
  "local",
  "examples",
];

checkNode();
const installed = step(
  "installing packages",
  hash(["package.json", "package-lock.json"]),
  "node_modules/.modelfleet-setup",
  () =>
    run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts=false", "--loglevel=error"], {
      MODELFLEET_SETUP: "1",
    }),
);
step(
  "building modelfleet",
  hash([
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "scripts/build.mjs",
    "index.ts",
    ...sources.flatMap(files),
  ]),
  "dist/.modelfleet-setup",
  () => run(process.execPath, ["scripts/build.mjs"]),
);
if (installed) process.stderr.write("\n");

/** Runs `work` unless `stamp` holds `key` already; tells how long it took. */
function step(title, key, stamp, work) {
  const file = join(root, stamp);
  if (existsSync(file) && readFileSync(file, "utf8") === key) return false;
  const started = Date.now();
  process.stderr.write(`${title} … `);
  work();
  writeFileSync(file, key);
  process.stderr.write(`${((Date.now() - started) / 1000).toFixed(1)} s\n`);
  return true;
}

function run(command, args, environment = {}) {
  const done = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...environment },
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    shell: process.platform === "win32",
  });
  if (done.status === 0) return;
  process.stderr.write(
    `failed\n\n${done.error?.message ?? ""}${done.stdout ?? ""}${done.stderr ?? ""}\n`,
  );
  process.stderr.write(`error: "${command} ${args.join(" ")}" failed; what it said stands above\n`);
  process.exit(1);
}

function hash(paths) {
  const sum = createHash("sha256").update(
    `${process.version} ${process.platform} ${process.arch}\n`,
  );
  for (const path of paths) {
    sum.update(path).update("\0");
    if (existsSync(join(root, path))) sum.update(readFileSync(join(root, path)));
  }
  return sum.digest("hex");
}

function files(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => /\.(ts|sql)$/.test(path) && statSync(join(root, path)).isFile())
    .sort();
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  process.stderr.write(`error: modelfleet needs Node 20.19 or newer; this is ${process.version}\n`);
  process.exit(1);
}
