/** Real parts for tests: a stack of its own in a temporary folder, ended and removed afterwards. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StackAccount } from "../local/stack/accounts.js";
import { resetStack } from "../local/stack/reset.js";
import { startStack } from "../local/stack/start.js";

export interface TestStack {
  /** Folder that plays the user's project: `.modelfleet/local` inside is the stack's state. */
  readonly folder: string;
  readonly basePort: number;
  /** The settings of a client or a worker of this stack. */
  readonly environment: Readonly<Record<string, string>>;
  /** Starts again whatever has died. */
  readonly recover: () => Promise<void>;
  readonly close: () => Promise<void>;
}

export interface TestStackOptions {
  /** Base ports in use: 17230 the shared stack's; each file with a stack of its own takes another. */
  readonly basePort: number;
  readonly faults?: Readonly<Record<string, unknown>>;
  /** Beside 111111111111. */
  readonly accounts?: readonly StackAccount[];
}

export async function startTestStack(options: TestStackOptions): Promise<TestStack> {
  const folder = await mkdtemp(join(tmpdir(), "modelfleet-test-"));
  const place = { baseDir: folder, ...options };
  const { environment } = await startStack(place).catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true });
    throw error;
  });
  return {
    folder,
    basePort: options.basePort,
    environment,
    recover: async () => void (await startStack(place)),
    close: async () => {
      await resetStack(place);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
