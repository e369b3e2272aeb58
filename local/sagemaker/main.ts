/** The process: `node main.js --config FILE`. */
import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { configSchema } from "./config.schema.js";
import { startServer } from "./server.js";

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: "string" } } });
  if (values.config === undefined) throw new Error("say which settings: --config FILE");
  const config = configSchema.parse(JSON.parse(await readFile(values.config, "utf8")));
  const server = await startServer(config);
  process.stdout.write(`ready ${server.url}\n`);

  let ending: Promise<void> | undefined;
  const end = (): void => {
    ending ??= server.close().then(() => process.exit(0));
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
}

main().catch((error: unknown) => {
  process.stderr.write(`sagemaker: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
