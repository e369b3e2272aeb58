/** A small fleet on a stack of its own: a warehouse table, a fleet file, and the CLI as a process. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import pg from "pg";
import type { TestStack } from "../stack.js";
import { watchedProcess } from "../watched-process.js";

const bin = resolve("bin/modelfleet.js");
const xgboost = resolve("training/xgboost_regression");

export interface SmallFleet {
  readonly name: string;
  /** The fleet file. */
  readonly file: string;
  /** Its Python sources, a copy that a test may spoil. */
  readonly sources: string;
}

export interface SmallFleetOptions {
  readonly name: string;
  /** Customer ids, as the warehouse calls them. */
  readonly customers: readonly string[];
  /** Rows per customer and month; three months are filled, 2024-01 to 2024-03. */
  readonly rowsPerMonth?: number;
  readonly concurrency?: number;
  readonly failureBudget?: number;
  /** The fleet file's `schedule`, as source: a plain object. */
  readonly schedule?: string;
  /** The fleet file's `retention`, as source. */
  readonly retention?: string;
  readonly autoApprove?: string;
  /** Share of the champion's error to remove; -1 takes any challenger. */
  readonly better?: number;
  /** More of the gate's policy, as source. */
  readonly gate?: string;
  /** The fleet file's `tuning`, as source; of hyperparameters that training leaves open. */
  readonly tuning?: string;
  readonly naming?: "versioned" | "stable";
  /** The fleet file's `stages`, as source; by default one, `sandbox`. */
  readonly stages?: string;
  /** The fleet file's `endpoint`, as source; by default a multi-model endpoint of that naming. */
  readonly endpoint?: string;
}

/** Fills table `sales_<name>` and writes a fleet file beside a copy of the XGBoost sources. */
export async function makeSmallFleet(
  stack: TestStack,
  options: SmallFleetOptions,
): Promise<SmallFleet> {
  const table = `sales_${options.name.replaceAll("-", "_")}`;
  await fillWarehouse(stack, table, options);
  const folder = join(stack.folder, options.name);
  const sources = join(folder, "training");
  await mkdir(folder, { recursive: true });
  await cp(xgboost, sources, { recursive: true });
  const file = join(folder, "fleet.ts");
  await writeFile(file, fleetFile(table, options));
  return { name: options.name, file, sources };
}

async function fillWarehouse(stack: TestStack, table: string, options: SmallFleetOptions) {
  const client = new pg.Client({ connectionString: stack.environment.WAREHOUSE_URL });
  await client.connect();
  try {
    await client.query(
      `create table ${table} (customer text, at timestamptz, amount float8, weekday int, promotion bool, price float8)`,
    );
    await client.query(
      `insert into ${table}
       select customer, '2024-01-01'::timestamptz + (i * 90.0 / (3 * $2)) * interval '1 day',
              10 * (i % 7) + 3 * (i % 11) + c, i % 7, i % 5 = 0, (i % 11)::float8
         from unnest($1::text[]) with ordinality as customers(customer, c), generate_series(0, 3 * $2 - 1) i`,
      [options.customers, options.rowsPerMonth ?? 100],
    );
  } finally {
    await client.end();
  }
}

function fleetFile(table: string, options: SmallFleetOptions): string {
  return `import {
  continuous, dedicatedEndpoint, defineFleet, integer, multiModelEndpoint, policy, postgres, processing,
  script, serverlessEndpoint,
} from "modelfleet";

export default defineFleet({
  name: "${options.name}",
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "select customer, amount, weekday, promotion::int as promotion, price from ${table} where at >= :floor and at < :ceiling",
    customer: "customer",
    target: "amount",
    window: { months: 1 },
    split: { validation: 0.3, test: 0.1 },
  }),
  training: script("./training", { hyperparameters: { num_round: "20"${options.tuning === undefined ? ', max_depth: "3"' : ""} } }),
  ${options.tuning === undefined ? "" : `tuning: ${options.tuning},`}
  gate: policy({ metric: "rmse", better: ${options.better ?? 0}, autoApprove: ${options.autoApprove ?? "{ betterThanBaseline: 0 }"}, ${options.gate ?? ""} }),
  endpoint: ${options.endpoint ?? `multiModelEndpoint({ instanceType: "ml.m5.large", naming: "${options.naming ?? "versioned"}" })`},
  stages: ${options.stages ?? '[{ name: "sandbox", account: "111111111111" }]'},
  concurrency: ${options.concurrency ?? 20},
  failureBudget: ${options.failureBudget ?? 0.05},
  ${options.schedule === undefined ? "" : `schedule: ${options.schedule},`}
  ${options.retention === undefined ? "" : `retention: ${options.retention},`}
});
`;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `modelfleet` to its end, with nothing but the stack's settings to go by. */
export async function cli(stack: TestStack, ...args: readonly string[]): Promise<CliResult> {
  const child = startCli(stack, args);
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)];
  const [code] = (await once(child, "close")) as [number | null];
  return { code, stdout: await stdout, stderr: await stderr };
}

export function startCli(
  stack: TestStack,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): ChildProcess {
  const { PATH, HOME } = process.env;
  return spawn(process.execPath, [bin, ...args], {
    cwd: stack.folder,
    env: { PATH, HOME, NO_COLOR: "1", ...watchedProcess(), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function collect(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = "";
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}

export interface RunningWorker {
  readonly pid: number;
  /** Nothing is said goodbye to: what a machine that loses power does. */
  readonly kill: () => Promise<void>;
  /** At the end of a test. A second, not the 20 that a worker grants to what runs: only its watchers do. */
  readonly stop: () => Promise<void>;
}

/** A worker as its own process; resolves when it polls. `environment` is what else it is told. */
export async function startWorkerProcess(
  stack: TestStack,
  environment: Readonly<Record<string, string>> = {},
): Promise<RunningWorker> {
  const child = startCli(stack, ["worker"], environment);
  const said: string[] = [];
  const ready = new Promise<void>((resolveReady, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on("line", (line) => {
        said.push(line);
        if (/\bready\b/.test(line)) resolveReady();
      });
    }
    child.once("exit", (code) =>
      reject(new Error(`the worker ended with ${code}:\n${said.slice(-20).join("\n")}`)),
    );
  });
  await ready;
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, "exit");
  };
  const stop = async () => {
    const patience = setTimeout(() => child.kill("SIGKILL"), 1000);
    await end("SIGTERM");
    clearTimeout(patience);
  };
  return { pid: child.pid ?? 0, kill: () => end("SIGKILL"), stop };
}
