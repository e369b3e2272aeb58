/** The minimal FastAPI server as a process beside the stack, and a client for it. */
import { Agent, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { answers, startBackground } from "../background-process.js";
import { PEER_PORT, type BenchStack } from "../stack.js";
import type { Predict } from "./endpoint.js";
import { SCRIPTS, type ServingModels } from "./models.js";

export async function startFastApi(
  stack: BenchStack,
  models: ServingModels,
  clients: number,
): Promise<{ predict: Predict; stop: () => Promise<void> }> {
  const script = join(import.meta.dirname, "fastapi_server.py");
  const server = await startBackground({
    command: stack.python.executable,
    args: [script, SCRIPTS, models.folder, String(PEER_PORT)],
    logFile: join(stack.workFolder, "fastapi.log"),
    isReady: () => answers(`http://127.0.0.1:${PEER_PORT}/ping`),
  });
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const stop = async () => {
    agent.destroy();
    await server.stop();
  };
  return { predict: poster(agent), stop };
}

/** node:http, as the AWS SDK uses it: the clients' own cost differs only by the SDK's. */
function poster(agent: Agent): Predict {
  return (model, row) =>
    new Promise((resolve, reject) => {
      const sent = request(
        {
          ...{ agent, host: "127.0.0.1", port: PEER_PORT, method: "POST" },
          path: `/models/${model}/predict`,
          headers: { "content-type": "text/csv", "content-length": Buffer.byteLength(row) },
        },
        (response) => {
          text(response).then((body) => {
            if (response.statusCode === 200) resolve(body.trim());
            else reject(new Error(`FastAPI answered ${response.statusCode}: ${body}`));
          }, reject);
        },
      );
      sent.on("error", reject);
      sent.end(row);
    });
}
