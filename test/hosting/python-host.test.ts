import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { startPythonHost } from "../../local/sagemaker/python-host.js";
import { layOutJob } from "./job.js";
import {
  deferred,
  eventually,
  pythonPath,
  runToEnd,
  sharedHost,
  temporaryFolder,
} from "./python.js";

const hostModule = fileURLToPath(new URL("../../local/sagemaker/python-host.ts", import.meta.url));
const root = fileURLToPath(new URL("../..", import.meta.url));

describe.each(["fork", "spawn"] as const)("a host that can %s", (mode) => {
  const host = sharedHost(mode);
  const folder = temporaryFolder();
  const script = (text: string): string => layOutJob(folder, { code: { "train.py": text } });

  test("a script's output arrives line by line, and its end after the last line", async () => {
    const baseDir = script(
      "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three', end='')",
    );
    const run = await runToEnd((onLine) => host().train({ baseDir, env: {}, onLine }));
    expect(run).toEqual({ code: 0, signal: null, lines: ["one", "two", "three"] });
    expect(existsSync(join(baseDir, "output/success"))).toBe(true);
  });

  test("containers that run at the same time do not mix their output", async () => {
    const runs = await Promise.all(
      ["a", "b", "c"].map((name) => {
        const baseDir = script(
          `import time\nfor i in range(50):\n  print("${name}", i)\n  time.sleep(0.001)`,
        );
        return runToEnd((onLine) => host().train({ baseDir, env: {}, onLine }));
      }),
    );
    for (const [index, name] of ["a", "b", "c"].entries()) {
      expect(runs[index]?.lines).toEqual(Array.from({ length: 50 }, (_, i) => `${name} ${i}`));
    }
  });

  test("a script that raises fails the container and leaves the traceback's last line", async () => {
    const baseDir = script("def f():\n  raise ValueError('rows are odd\\nsecond line')\nf()");
    const run = await runToEnd((onLine) => host().train({ baseDir, env: {}, onLine }));
    expect(run.code).toBe(1);
    expect(run.lines).toContain("ValueError: rows are odd");
    const failure = readFileSync(join(baseDir, "output/failure"), "utf8");
    expect(failure).toMatch(
      /^ExecuteUserScriptError:\nExitCode 1\nErrorMessage "ValueError: rows are odd"\nCommand ".*train.py"$/,
    );
  });

  test("killing a container ends everything it started", async () => {
    const baseDir = script(
      "import subprocess, sys, time\np = subprocess.Popen(['sleep', '600'])\nprint(p.pid)\ntime.sleep(600)",
    );
    const { promise: child, resolve } = deferred<number>();
    const container = host().train({ baseDir, env: {}, onLine: (line) => resolve(Number(line)) });
    const pid = await child;
    container.kill("SIGKILL");
    expect(await container.exited).toEqual({ code: null, signal: "SIGKILL" });
    await expect.poll(() => isRunning(pid), eventually).toBe(false);
  });

  test("SIGTERM lets a script finish in its own way", async () => {
    const baseDir = script(
      "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nprint('up')\ntime.sleep(600)",
    );
    const lines: string[] = [];
    const { promise: up, resolve } = deferred<void>();
    const container = host().train({
      baseDir,
      env: {},
      onLine: (line) => {
        lines.push(line);
        resolve();
      },
    });
    await up;
    container.kill("SIGTERM");
    expect((await container.exited).signal).toBeNull();
  });
});

describe("when a process of the host dies", () => {
  const folder = temporaryFolder();
  const longScript =
    "import os, subprocess, time\np = subprocess.Popen(['sleep', '600'])\nprint(os.getpid(), p.pid)\ntime.sleep(600)";
  const start = (mode: "fork" | "spawn" = "fork") =>
    startPythonHost({ python: pythonPath(), logDir: folder, preload: [], mode });

  test.each(["fork", "spawn"] as const)(
    "the parent's containers end with it, and the next one gets a new parent (%s)",
    async (mode) => {
      const host = await start(mode);
      onTestFinished(() => host.close());
      const baseDir = layOutJob(folder, { code: { "train.py": longScript } });
      const { promise: pids, resolve } = deferred<string>();
      const container = host.train({ baseDir, env: {}, onLine: resolve });
      const running = (await pids).split(" ").map(Number);
      process.kill(host.parentPid() ?? 0, "SIGKILL");
      expect(await container.exited).toEqual({ code: null, signal: "SIGKILL" });
      await expect.poll(() => running.filter(isRunning), eventually).toEqual([]);

      const next = layOutJob(folder, { code: { "train.py": "print('back')" } });
      const run = await runToEnd((onLine) => host.train({ baseDir: next, env: {}, onLine }));
      expect(run).toEqual({ code: 0, signal: null, lines: ["back"] });
    },
  );

  test("closing kills what still runs", async () => {
    const host = await start();
    const baseDir = layOutJob(folder, { code: { "train.py": longScript } });
    const { promise: pids, resolve } = deferred<string>();
    const container = host.train({ baseDir, env: {}, onLine: resolve });
    const running = (await pids).split(" ").map(Number);
    await host.close();
    expect((await container.exited).code).toBeNull();
    await expect.poll(() => running.filter(isRunning), eventually).toEqual([]);
  });

  test.each(["fork", "spawn"] as const)(
    "no Python outlives the Node process (%s)",
    async (mode) => {
      const baseDir = layOutJob(folder, { code: { "train.py": longScript } });
      const options = { python: pythonPath(), logDir: folder, preload: [], mode };
      const program = `
      import { startPythonHost } from ${JSON.stringify(hostModule)};
      const host = await startPythonHost(${JSON.stringify(options)});
      host.train({ baseDir: ${JSON.stringify(baseDir)}, env: {}, onLine: (line) => console.log(host.parentPid(), line) });
    `;
      const file = join(folder, `${mode}.mts`);
      writeFileSync(file, program);
      const node = spawn(process.execPath, ["--import", "jiti/register", file], {
        cwd: root,
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [output] = (await once(node.stdout, "data")) as [Buffer];
      const pids = output.toString().trim().split(" ").map(Number);
      expect(pids).toHaveLength(3);
      expect(pids.every(isRunning)).toBe(true);
      node.kill("SIGKILL");
      await expect.poll(() => pids.filter(isRunning), eventually).toEqual([]);
    },
  );

  test("an interpreter that is not there is one clear error", async () => {
    const missing = startPythonHost({ python: "/no/such/python", logDir: folder, preload: [] });
    await expect(missing).rejects.toThrow(
      "the Python host (/no/such/python) ended before it was ready: spawn /no/such/python ENOENT",
    );
  });

  test("a module that cannot be preloaded is left to the scripts that want it", async () => {
    const host = await startPythonHost({
      python: pythonPath(),
      logDir: folder,
      preload: ["no_such_module", "json"],
    });
    onTestFinished(() => host.close());
    const baseDir = layOutJob(folder, { code: { "train.py": "print('ran')" } });
    const run = await runToEnd((onLine) => host.train({ baseDir, env: {}, onLine }));
    expect(run.lines).toEqual(["ran"]);
  });
});

/** A zombie has ended too: whoever inherits it reaps it in its own time. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const status = `/proc/${pid}/status`;
    return !existsSync(status) || !/^State:\s+Z/m.test(readFileSync(status, "utf8"));
  } catch {
    return false;
  }
}
