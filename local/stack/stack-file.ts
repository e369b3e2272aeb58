/** A stack's own settings and secrets: made once, kept in `stack.json`, readable by its owner only. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { StackFolder } from "./place.js";
import type { StackAccount } from "./accounts.js";
import { DEFAULT_BASE_PORT, stackPorts } from "./ports.js";
import { writePrivateFile } from "./private-file.js";
import { StackError } from "./stack-error.js";

const keyPairSchema = z.strictObject({ accessKeyId: z.string(), secretAccessKey: z.string() });
const stackFileSchema = z.strictObject({
  format: z.literal("modelfleet-stack/1"),
  name: z.string(),
  basePort: z.int(),
  postgresPassword: z.string(),
  /** The person's and the worker's identity. */
  userKeys: keyPairSchema,
  /** The SageMaker server's own identity on the S3 server. */
  sagemakerKeys: keyPairSchema,
  /** Base64: what the S3 server checks the tokens of roles' sessions with. */
  sessionKey: z.string().default(newSessionKey),
  /** Beside the stack's own; a stack that was made without any has none. */
  accounts: z.array(z.strictObject({ name: z.string(), id: z.string() })).default([]),
});
export type StackFile = z.infer<typeof stackFileSchema>;
export type KeyPair = z.infer<typeof keyPairSchema>;

/** Undefined when there is no stack in this folder. */
export function readStackFile(folder: StackFolder): StackFile | undefined {
  let text: string;
  try {
    text = readFileSync(folder.stackFile, "utf8");
  } catch {
    return undefined;
  }
  const parsed = stackFileSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new StackError(
    "StackFolderForeign",
    `${folder.stackFile} is not a stack file of this version of modelfleet`,
    "choose another folder with --state, or move that folder away",
    parsed.error,
  );
}

export function requireStackFile(folder: StackFolder): StackFile {
  const stack = readStackFile(folder);
  if (stack !== undefined) return stack;
  throw new StackError(
    "StackMissing",
    `there is no stack in ${folder.root}`,
    `modelfleet local up${folder.flags}`,
  );
}

/** What a start may change of a stack that is down. */
export interface StackChanges {
  readonly basePort?: number | undefined;
  readonly accounts?: readonly StackAccount[] | undefined;
}

/** Reads the stack's settings or makes them; what is given replaces what is stored. */
export function ensureStackFile(folder: StackFolder, changes: StackChanges): StackFile {
  const known = readStackFile(folder);
  const { basePort, accounts } = known ?? { basePort: DEFAULT_BASE_PORT, accounts: [] };
  const stack = {
    ...(known ?? newStack(folder.name)),
    basePort: changes.basePort ?? basePort,
    accounts: [...(changes.accounts ?? accounts)],
  };
  stackPorts(stack.basePort); // Refuses a port out of range before anything is written.
  mkdirSync(folder.root, { recursive: true, mode: 0o700 });
  if (known === undefined) refuseForeignFolder(folder);
  // Secrets and data: nothing of this belongs in a repository.
  writeFileSync(join(folder.root, ".gitignore"), "*\n");
  writePrivateFile(folder.stackFile, `${JSON.stringify(stack, null, 2)}\n`);
  return stack;
}

/** A folder with other people's files in it never becomes a state folder: `reset` would empty it. */
function refuseForeignFolder(folder: StackFolder): void {
  const foreign = readdirSync(folder.root).filter((entry) => !entry.startsWith("lock"));
  if (foreign.length === 0) return;
  throw new StackError(
    "StackFolderForeign",
    `${folder.root} holds other files (${foreign.slice(0, 3).join(", ")}), so it cannot be a state folder`,
    "give --state a folder that is empty or new",
  );
}

function newStack(name: string): Omit<StackFile, "basePort" | "accounts"> {
  return {
    format: "modelfleet-stack/1",
    name,
    postgresPassword: randomBytes(16).toString("hex"),
    userKeys: newKeyPair(),
    sagemakerKeys: newKeyPair(),
    sessionKey: newSessionKey(),
  };
}

/** SeaweedFS asks for 16 bytes at least. */
function newSessionKey(): string {
  return randomBytes(32).toString("base64");
}

/** Of the form of an AWS long-term key, so that clients which check the form accept it. */
function newKeyPair(): KeyPair {
  return {
    accessKeyId: `AKIA${randomBytes(8).toString("hex").toUpperCase()}`,
    secretAccessKey: randomBytes(20).toString("hex"),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
