/** Ends a stack and removes all its state: exactly what modelfleet put into the state folder. */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { withLock } from "./lock.js";
import { stackFolder, type StackFolder } from "./place.js";
import { StackError } from "./stack-error.js";
import { requireStackFile } from "./stack-file.js";
import { stackLock } from "./stack-lock.js";
import { stopRecorded, type StopOptions } from "./stop.js";

export async function resetStack(options: StopOptions): Promise<void> {
  const folder = stackFolder(options);
  const stack = requireStackFile(folder); // Without it the folder is not ours, and nothing in it is touched.
  if (stack.name !== folder.name) {
    throw new StackError(
      "StackFolderForeign",
      `${folder.root} is the state of the stack "${stack.name}", not of "${folder.name}"`,
      `modelfleet local reset --name ${stack.name} --state ${folder.root}`,
    );
  }
  const onProgress = options.onProgress ?? (() => undefined);
  await withLock(stackLock(folder, onProgress), async () => {
    await stopRecorded(folder, onProgress);
    removeState(folder);
  });
  removeWhenEmpty(folder.root);
}

function removeState(folder: StackFolder): void {
  for (const path of [
    folder.postgres,
    folder.temporal,
    folder.s3,
    folder.sagemaker,
    folder.processes,
    folder.logs,
    folder.environmentFile,
    join(folder.root, ".gitignore"),
    folder.stackFile, // Last: a reset that is interrupted can be repeated.
  ]) {
    remove(path);
  }
}

function remove(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}

/** What a person put beside our files stays. */
function removeWhenEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}
