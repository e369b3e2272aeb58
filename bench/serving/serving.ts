/** `npm run bench -- serving`: predictions through the endpoint, beside FastAPI and a plain Python loop. */
import { join } from "node:path";
import { z } from "zod";
import { lastJsonLine, runMeasured } from "../measured-process.js";
import type { Report, Table } from "../report.js";
import { ensureFlights, type BenchStack, type Tell } from "../stack.js";
import { formatNumber, median } from "../statistics.js";
import { closedLoop, loadCells, type Load } from "./closed-loop.js";
import { deployEndpoint, type Predict } from "./endpoint.js";
import { startFastApi } from "./fastapi.js";
import { SCRIPTS, trainModels, type ServingModels } from "./models.js";

export interface ServingOptions {
  readonly models: number;
  readonly requests: number;
  readonly clients: number;
}

interface Contender {
  readonly title: string;
  readonly load: Load;
}

const resultSchema = z.object({ latenciesMs: z.array(z.number()), answers: z.array(z.string()) });

export async function benchServing(
  stack: BenchStack,
  options: ServingOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  await ensureFlights(stack, tell);
  tell("training the models …");
  const models = await trainModels(stack, options.models);
  const { clients, requests } = options;
  const loop = await plainLoop(stack, models, requests);
  tell("deploying the endpoint …");
  const endpoint = await deployEndpoint(stack, models);
  const cold = await closedLoop({ clients, requests: models.names.length }, (number) =>
    send(endpoint, models, number),
  );
  tell(`cold: ${loadCells(cold).join(" ")}`);
  const fastApi = await startFastApi(stack, models, clients);
  try {
    const peers = { endpoint, fastApi: fastApi.predict };
    await compareAnswers(peers, models, loop.answers);
    const contenders = await warmLoads(peers, models, options, tell);
    const title = `${clients} clients, ${models.names.length} models`;
    return {
      title: `predictions, one row a request, ${title}`,
      tables: [
        resultTable({ title: "cold: the first call of each model", load: cold }, [
          ...contenders,
          { title: "plain Python loop, models in memory, 1 caller", load: loop.load },
        ]),
      ],
      notes: NOTES,
    };
  } finally {
    await fastApi.stop();
  }
}

/** Each half of the requests goes to both in turn, so that a machine that slows down slows both. */
async function warmLoads(
  peers: { endpoint: Predict; fastApi: Predict },
  models: ServingModels,
  { clients, requests }: ServingOptions,
  tell: Tell,
): Promise<Contender[]> {
  const measure = async (predict: Predict, atATime: number, count: number) =>
    closedLoop({ clients: atATime, requests: count }, (number) => send(predict, models, number));
  const contenders: Contender[] = [];
  for (const atATime of [clients, 1]) {
    const count = Math.ceil((atATime === 1 ? requests / 4 : requests) / 2);
    const halves: { endpoint: Load[]; fastApi: Load[] } = { endpoint: [], fastApi: [] };
    for (let half = 0; half < 2; half++) {
      halves.endpoint.push(await measure(peers.endpoint, atATime, count));
      halves.fastApi.push(await measure(peers.fastApi, atATime, count));
    }
    const who = atATime === 1 ? "1 client" : `${atATime} clients`;
    contenders.push(
      { title: `InvokeEndpoint, warm, ${who}`, load: joined(halves.endpoint) },
      { title: `FastAPI + uvicorn, ${who}`, load: joined(halves.fastApi) },
    );
    tell(
      `warm, ${who}: ${contenders
        .slice(-2)
        .map(({ load }) => loadCells(load)[0])
        .join(" and ")} ms`,
    );
  }
  return contenders;
}

const joined = (loads: readonly Load[]): Load => ({
  latenciesMs: loads.flatMap(({ latenciesMs }) => latenciesMs),
  seconds: loads.reduce((sum, { seconds }) => sum + seconds, 0),
});

const modelOf = ({ names }: ServingModels, number: number) => names[number % names.length] ?? "";
const rowOf = ({ rows }: ServingModels, number: number) => rows[number % rows.length] ?? "";

async function send(predict: Predict, models: ServingModels, number: number): Promise<string> {
  return predict(modelOf(models, number), rowOf(models, number));
}

async function plainLoop(
  stack: BenchStack,
  models: ServingModels,
  requests: number,
): Promise<{ load: Load; answers: readonly string[] }> {
  const { stdout } = await runMeasured(stack, {
    command: stack.python.executable,
    args: [join(import.meta.dirname, "plain_loop.py"), SCRIPTS, models.folder, String(requests)],
    stdin: models.rows.join("\n"),
  });
  const { latenciesMs, answers } = resultSchema.parse(lastJsonLine(stdout));
  const seconds = latenciesMs.reduce((sum, latency) => sum + latency, 0) / 1000;
  return { load: { latenciesMs, seconds }, answers };
}

/** Speeds are comparable only when the work is the same. */
async function compareAnswers(
  { endpoint, fastApi }: { endpoint: Predict; fastApi: Predict },
  models: ServingModels,
  answers: readonly string[],
): Promise<void> {
  for (const [number, expected] of answers.entries()) {
    const served = [await send(endpoint, models, number), await send(fastApi, models, number)];
    if (served.some((answer) => answer !== expected))
      throw new Error(
        `request ${number} got ${served.join(" and ")}, the plain loop says ${expected}`,
      );
  }
}

function resultTable(cold: Contender, warm: readonly Contender[]): Table {
  const plain = warm.at(-1)?.load;
  const base = median(plain?.latenciesMs ?? []);
  const row = ({ title, load }: Contender) => [
    title,
    formatNumber(load.latenciesMs.length, 0),
    ...loadCells(load),
    `${formatNumber(median(load.latenciesMs) / base, 1)} ×`,
  ];
  return {
    title: "Latency in milliseconds, and requests per second",
    headers: ["", "requests", "p50", "p95", "p99", "requests/s", "p50 to the plain loop's"],
    rows: [row(cold), ...warm.map(row)],
  };
}

const NOTES = [
  "All three run the same inference.py on the same models, and their answers are compared before the clock starts. Each client sends its next request when it has its answer (a closed loop), so with 16 clients on few cores the latency is mostly waiting in line.",
  "Endpoint: through the AWS SDK (signed requests), the local SageMaker server and the container's model server. A cold call also fetches the artifact from S3, unpacks it and loads the model. Clients, servers and S3 share the machine's cores.",
  "FastAPI: one uvicorn process that holds all models in memory from its start, without authentication; its clients use plain node:http.",
];
