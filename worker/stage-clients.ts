/** The clients of every stage: its role assumed, its account checked, one set for each role and region. */
import { S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import type pg from "pg";
import { spendBudget } from "../activities/api-budget.js";
import { permanent } from "../activities/application-failure.js";
import type { StageAccess, StageClients } from "../activities/stage-access.js";
import { FAILURES, SpecError } from "../fleet/errors.js";
import { LIMITS } from "../fleet/limits.js";
import type { StageSpec } from "../fleet/spec.schema.js";
import { assertOwnBucket, placeOfStage, type StagePlace } from "../fleet/stages.js";
import type { Observe } from "./observe-aws.js";
import { roleCredentials, type Credentials } from "./role-credentials.js";

/** Temporal owns the retries; one quick second attempt here covers a connection that was closed while idle. */
const attempts = { maxAttempts: 2 };

type ClientSet = Pick<StageClients, "account" | "region" | "s3" | "sagemaker" | "runtime">;

export interface StageClientsOptions {
  /** The worker's own account: its clients serve every stage there that names neither role nor other region. */
  readonly home: StageClients;
  /** Where the budget of calls is kept. */
  readonly ledger: pg.Pool;
  /** Is given every client before its first call. */
  readonly observe: Observe;
}

export interface OpenStages {
  readonly stageAccess: StageAccess;
  /** Closes what was opened for stages; the worker's own clients are left to who opened them. */
  readonly close: () => void;
}

export function openStages({ home, ledger, observe }: StageClientsOptions): OpenStages {
  const sets = new Map<string, Promise<ClientSet>>();
  const opened: ClientSet[] = [];

  const setOf = (stage: StageSpec): Promise<ClientSet> => {
    const { account, region = home.region, role, externalId } = stage;
    if (role === undefined && account !== home.account) throw otherAccount(stage, home.account);
    if (role === undefined && region === home.region) return Promise.resolve(home);
    const key = JSON.stringify([account, region, role, externalId]);
    const known = sets.get(key);
    if (known !== undefined) return known;
    // Opened anew the next time when it fails, or when AWS does not take its credentials any more.
    const forget = () => void (sets.get(key) === set && sets.delete(key));
    const set = openSet({ stage, home, ledger, observe, onExpired: forget }).then((clients) => {
      opened.push(clients);
      return clients;
    });
    set.catch(forget);
    sets.set(key, set);
    return set;
  };

  return {
    stageAccess: async (stage) => {
      const { bucket, roleArn } = placeOf(stage, home);
      const { account, region, s3, sagemaker, runtime } = await setOf(stage);
      return { account, region, bucket, roleArn, s3, sagemaker, runtime };
    },
    close: () => {
      for (const { s3, sagemaker, runtime } of opened)
        for (const client of [s3, sagemaker, runtime]) client.destroy();
    },
  };
}

/** Whatever the worker is set up with is of its own account: a stage elsewhere names its own. */
function placeOf(stage: StageSpec, home: StageClients): StagePlace {
  const { name, account, bucket, executionRole } = stage;
  const isHome = account === home.account;
  if (!isHome && (bucket === undefined || executionRole === undefined))
    throw new SpecError(
      `stage "${name}" is in account ${account} and names no ${bucket === undefined ? "bucket" : "executionRole"}`,
      `give it a bucket and an executionRole of account ${account}; MODELFLEET_BUCKET and MODELFLEET_ROLE_ARN are of ${home.account}`,
    );
  assertOwnBucket(stage, home);
  return placeOfStage(stage, home);
}

interface OpenOptions extends StageClientsOptions {
  readonly stage: StageSpec;
  readonly onExpired: () => void;
}

async function openSet({
  stage,
  home,
  ledger,
  observe,
  onExpired,
}: OpenOptions): Promise<ClientSet> {
  const { name, account, region = home.region, role, externalId } = stage;
  const credentials =
    role === undefined
      ? undefined
      : roleCredentials({ stage: name, role, externalId, account, region: home.region });
  // Before the first client is made: credentials of another account touch nothing.
  await credentials?.();
  const settings = { region, ...attempts, ...(credentials !== undefined && { credentials }) };
  const s3 = new S3Client(settings);
  const sagemaker = new SageMakerClient(settings);
  const runtime = openRuntime(settings);
  spendBudget(sagemaker, { account, region, ledger });
  const watch = expiryWatch(onExpired);
  const place = { name: "modelfleetExpiredSession", step: "initialize" } as const;
  s3.middlewareStack.add(watch, place);
  sagemaker.middlewareStack.add(watch, place);
  runtime.middlewareStack.add(watch, place);
  for (const client of [s3, sagemaker, runtime]) observe(client);
  return { account, region, s3, sagemaker, runtime };
}

export function openRuntime(settings: {
  readonly region: string;
  readonly credentials?: () => Promise<Credentials>;
}): SageMakerRuntimeClient {
  return new SageMakerRuntimeClient({
    ...settings,
    ...attempts,
    // The container may take its whole time; the answer then still has to travel.
    requestHandler: { requestTimeout: (LIMITS.invocationTimeoutSeconds + 10) * 1000 },
  });
}

const EXPIRED = ["ExpiredTokenException", "ExpiredToken"];

/** A session may end before its time, by whoever revoked it: whoever is told so gets a new one the next time. */
const expiryWatch =
  (onExpired: () => void) =>
  <Input, Output>(next: (input: Input) => Promise<Output>) =>
  async (input: Input): Promise<Output> => {
    try {
      return await next(input);
    } catch (error) {
      if (error instanceof Error && EXPIRED.includes(error.name)) onExpired();
      throw error;
    }
  };

const otherAccount = ({ name, account }: StageSpec, own: string) =>
  permanent(FAILURES.accountMismatch, {
    message: `stage "${name}" is in account ${account}, the worker's credentials are of ${own}`,
    hint: `name the role that the worker assumes there (role of the stage "${name}"), or correct its account; nothing was touched`,
  });
