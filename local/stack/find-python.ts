/** Finds a Python that is new enough and can make a virtual environment, or says what is missing. */
import { runCommand } from "./run-command.js";
import { StackError } from "./stack-error.js";

export const MINIMUM_PYTHON = [3, 11] as const;

export interface Python {
  readonly path: string;
  /** For example `3.12.4`. */
  readonly version: string;
}

const names = ["python3", "python3.13", "python3.12", "python3.11", "python3.14", "python"];
const probe = [
  "import sys, importlib.util as u",
  "print(sys.executable)",
  "print('%d.%d.%d' % sys.version_info[:3])",
  "print('venv' if u.find_spec('venv') and u.find_spec('ensurepip') else 'no venv')",
].join("\n");

/** `wanted` is a path or a name that stands in for the search, from MODELFLEET_PYTHON. */
export async function findPython(wanted: string | undefined): Promise<Python> {
  const refusals: string[] = [];
  for (const name of wanted === undefined ? names : [wanted]) {
    const { code, lines } = await runCommand(name, ["-c", probe], { timeoutSeconds: 60 });
    const [path, version, venv] = lines;
    if (code !== 0 || path === undefined || version === undefined) continue;
    if (!isNewEnough(version)) refusals.push(`${name} is ${version}`);
    else if (venv !== "venv") refusals.push(`${name} (${version}) has no venv module`);
    else return { path, version };
  }
  throw pythonMissing(wanted, refusals);
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [wantedMajor, wantedMinor] = MINIMUM_PYTHON;
  return major === wantedMajor && minor >= wantedMinor;
}

function pythonMissing(wanted: string | undefined, refusals: readonly string[]): StackError {
  const looked = wanted === undefined ? "" : ` at MODELFLEET_PYTHON=${wanted}`;
  const found = refusals.length === 0 ? "none was found" : `found only: ${refusals.join(", ")}`;
  return new StackError(
    "PythonMissing",
    `modelfleet needs Python ${MINIMUM_PYTHON.join(".")} or newer with its venv module${looked}; ${found}`,
    process.platform === "darwin"
      ? "brew install python@3.12, or set MODELFLEET_PYTHON to one that is installed elsewhere"
      : "apt-get install python3 python3-venv (or your system's like), or set MODELFLEET_PYTHON",
  );
}
