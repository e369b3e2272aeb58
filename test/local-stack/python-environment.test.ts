import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { pythonEnvironment } from "../../local/stack/python-environment.js";
import { temporaryFolder } from "./temporary-folder.js";

/** A Python that makes environments holding itself, and a pip that prints or fails. */
function aPython(pip: string) {
  const folder = temporaryFolder();
  const calls = join(folder, "calls");
  const python = join(folder, "python3");
  writeFileSync(
    python,
    `#!/bin/sh
echo "$*" | head -1 >> ${calls}
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  "-m pip") ${pip} ;;
  *) printf '%s\\n3.12.1\\nvenv\\n' "$0" ;;
esac
`,
  );
  chmodSync(python, 0o755);
  const messages: string[] = [];
  const options = {
    cache: join(folder, "cache"),
    wantedPython: python,
    onProgress: ({ message }: { message: string }) => void messages.push(message),
  };
  const countOf = (words: string) =>
    readFileSync(calls, "utf8")
      .split("\n")
      .filter((line) => line.includes(words)).length;
  return { options, messages, countOf };
}

test("the environment is built once, with visible progress, from hashed requirements", async () => {
  const { options, messages, countOf } = aPython(
    'echo "  Downloading pandas-3.1.1-cp312-cp312-manylinux.whl (12.4 MB)"',
  );
  const { python, binaries } = await pythonEnvironment(options);
  expect(existsSync(python)).toBe(true);
  expect(python).toBe(join(binaries, "python"));
  expect(countOf("pip install --require-hashes")).toBe(2);
  expect(messages).toContain("downloading pandas (12.4 MB)");

  expect(await pythonEnvironment(options)).toEqual({ python, binaries });
  expect(countOf("venv")).toBe(1);
});

test("two that need it at once build it once", async () => {
  const { options, countOf } = aPython("true");
  const [one, other] = await Promise.all([pythonEnvironment(options), pythonEnvironment(options)]);
  expect(other).toEqual(one);
  expect(countOf("venv")).toBe(1);
});

test("a failed installation says why and how to look, and leaves nothing that looks complete", async () => {
  const { options } = aPython('echo "ERROR: No matching distribution found for pandas"; exit 1');
  const failure = await pythonEnvironment(options).catch((error: unknown) => error);
  expect(failure).toHaveProperty("type", "PythonPackagesFailed");
  expect(String(failure)).toContain("No matching distribution found for pandas");
  expect(failure).toHaveProperty("hint", expect.stringContaining("pip install"));
  expect(readdirSync(options.cache).filter((name) => !name.endsWith(".new"))).toEqual([]);
});

test("a build that was interrupted is begun again", async () => {
  const { options, countOf } = aPython("exit 1");
  await pythonEnvironment(options).catch(() => undefined);
  const working = aPython("true");
  await pythonEnvironment({ ...working.options, cache: options.cache });
  expect(countOf("venv")).toBe(1);
  expect(readdirSync(options.cache)).toEqual([expect.stringMatching(/^python-[0-9a-f]{16}$/)]);
});
