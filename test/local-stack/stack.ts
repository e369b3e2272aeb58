/** A real stack for one test file, its folder and all it started removed at the end. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { S3Client } from "@aws-sdk/client-s3";
import { Connection } from "@temporalio/client";
import pg from "pg";
import { afterAll, onTestFinished } from "vitest";
import type { StackPlace } from "../../local/stack/place.js";
import { resetStack } from "../../local/stack/reset.js";
import { StackError } from "../../local/stack/stack-error.js";

export type Environment = Readonly<Record<string, string>>;

/** A place for a stack that does not exist yet; whatever is there at the end is removed. */
export function stackPlace(folders: string[] = []): StackPlace & { baseDir: string } {
  const home = mkdtempSync(join(tmpdir(), "modelfleet-stack-"));
  const place = { name: "test", baseDir: join(home, ...folders) };
  afterAll(async () => {
    await resetStack(place).catch((error: unknown) => {
      if (!(error instanceof StackError) || error.type !== "StackMissing") throw error;
    });
    rmSync(home, { recursive: true, force: true });
  });
  return place;
}

export function setting(environment: Environment, name: string): string {
  const value = environment[name];
  if (value === undefined) throw new Error(`the stack's environment has no ${name}`);
  return value;
}

export async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

export function s3Client(environment: Environment): S3Client {
  const client = new S3Client({
    endpoint: setting(environment, "AWS_ENDPOINT_URL_S3"),
    region: setting(environment, "AWS_REGION"),
    credentials: {
      accessKeyId: setting(environment, "AWS_ACCESS_KEY_ID"),
      secretAccessKey: setting(environment, "AWS_SECRET_ACCESS_KEY"),
    },
    forcePathStyle: true,
  });
  onTestFinished(() => client.destroy());
  return client;
}

export async function temporalConnection(environment: Environment): Promise<Connection> {
  const connection = await Connection.connect({
    address: setting(environment, "TEMPORAL_ADDRESS"),
  });
  onTestFinished(() => connection.close());
  return connection;
}
