/** Ends one recorded process of a stack, with all traces of it but its log. */
import { stopSteps } from "./part.js";
import type { StackFolder } from "./place.js";
import { stackPorts } from "./ports.js";
import { removeRecord, type ProcessRecord } from "./process-records.js";
import { removeSockets } from "./s3-sockets.js";
import { requireStackFile } from "./stack-file.js";
import { stopProcess, type StopResult } from "./stop-process.js";

export async function endProcess(folder: StackFolder, record: ProcessRecord): Promise<StopResult> {
  const result = await stopProcess(record, stopSteps(record.name));
  if (record.name === "s3") removeSockets(stackPorts(requireStackFile(folder).basePort));
  removeRecord(folder, record.name);
  return result;
}
