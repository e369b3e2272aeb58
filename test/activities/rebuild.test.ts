/** A ledger that was lost is rebuilt, from lineage and from what registry and stages know. */
import { createHash } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import pg from "pg";
import { afterAll, describe, expect, test } from "vitest";
import { createHistoryFilesActivities } from "../../activities/history-files.js";
import { migrateLedger } from "../../activities/ledger/migrate.js";
import { openLedger } from "../../activities/ledger/pool.js";
import { s3Files } from "../../activities/lineage/files.js";
import { rebuildFleet } from "../../activities/lineage/rebuild.js";
import { LEFT_OUT, lineageTables } from "../../activities/lineage/tables.js";
import { writeLineage } from "../../activities/lineage/write.js";
import { lineageFile, LINEAGE_MANIFEST, type LineageManifest } from "../../fleet/lineage.schema.js";
import { customerKey, s3Keys } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { seedLedger, FLEET as SEEDED } from "../cli/seeded-ledger.js";
import { aFleet, openCycle } from "./a-fleet.js";
import { readObject, run, useParts, type Parts } from "./parts.js";
import { put, STAGE, uploadCode } from "./publishing.js";
import { decide, exportManifest, jobOf, publish, register, withdraw } from "./registered-fleet.js";

const parts = useParts(20000);

const ledgers: pg.Pool[] = [];
afterAll(() => Promise.all(ledgers.map((ledger) => ledger.end())));

/** As a new database is after the loss; the one before stays, for comparison. */
async function anEmptyLedger(name: string): Promise<pg.Pool> {
  await parts().ledger.query(`create database ${pg.escapeIdentifier(name)}`);
  const url = new URL(parts().ledgerUrl);
  url.pathname = `/${name}`;
  const ledger = openLedger({ url: url.href, maxConnections: 4 });
  ledgers.push(ledger);
  await migrateLedger(ledger);
  return ledger;
}

const filesOf = (fleet: string, p: Parts = parts()) =>
  s3Files(p.s3, p.bucket, s3Keys.lineage(fleet));

const rebuild = (ledger: pg.Pool, fleet: string, dryRun = false) =>
  rebuildFleet({ ...parts(), ledger }, { fleet, files: filesOf(fleet), by: "ann", dryRun });

/** Every row of the fleet in every table of a lineage, in an order of their own. */
async function dump(
  ledger: pg.Pool,
  fleet: string,
  without: readonly string[] = ["rebuilds"],
): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const { name, scope } of await lineageTables(ledger)) {
    if (without.includes(name)) continue;
    const { rows } = await ledger.query<{ row: string }>(
      `select t::text as row from ${name} t where ${scope} order by 1`,
      [fleet],
    );
    if (rows.length > 0) found[name] = rows.map(({ row }) => row);
  }
  return found;
}

const write = (fleet: string) => writeLineage(parts(), { fleet, at: new Date() });

/** A lineage of a fleet that has something in tables which few fleets fill. */
async function aLineage(fleet: string): Promise<FleetSpec> {
  const spec = aFleet({ name: fleet });
  await openCycle(parts(), spec);
  await parts().ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, verification, state)
     values ($1, '2013-07-01', 'a', $2, '["1,2"]', 'serving')`,
    [fleet, 'Café "\u0007\\n", {1}\u2028'],
  );
  await write(fleet);
  return spec;
}

describe("a lineage", () => {
  test("has every table of the ledger, but for those that are named with a reason", async () => {
    const { rows } = await parts().ledger.query<{ name: string }>(
      "select tablename as name from pg_tables where schemaname = 'modelfleet' order by 1",
    );
    const exported = (await lineageTables(parts().ledger)).map(({ name }) => name);
    expect([...exported, ...Object.keys(LEFT_OUT)].sort()).toEqual(rows.map(({ name }) => name));
  });

  test("brings back every row as it was, with the rows of other fleets left out", async () => {
    await seedLedger(parts().ledgerUrl);
    await fillTheRest(parts().ledger);
    await putSeededPointer();
    await write(SEEDED);
    const before = await dump(parts().ledger, SEEDED);
    const everywhere = (await lineageTables(parts().ledger)).map(({ name }) => name);
    expect(Object.keys(before).sort()).toEqual(everywhere.filter((t) => t !== "rebuilds").sort());
    const ledger = await anEmptyLedger("seeded");
    // Neither has changed since; the seeded ledger's packages were never made.
    const sagemaker = { send: async () => ({}) } as unknown as Parts["sagemaker"];
    const order = { fleet: SEEDED, files: filesOf(SEEDED), by: "ann", dryRun: false };
    const told = await rebuildFleet({ ...parts(), ledger, sagemaker }, order);
    expect(told).toMatchObject({
      fleet: SEEDED,
      since: { decided: 0, registered: 0, served: 0 },
      lost: [
        "4 versions that are open or serve are not in the model registry any more: they stand as the lineage has them",
      ],
    });
    expect(await dump(ledger, SEEDED)).toEqual(before);
  });

  test("is written at the end of every cycle", async () => {
    await openCycle(parts(), aFleet({ name: "at-the-end" }));
    await run(createHistoryFilesActivities(parts()).writeHistoryFiles, { fleet: "at-the-end" });
    expect(await readObject(parts(), s3Keys.lineage("at-the-end") + LINEAGE_MANIFEST)).toContain(
      '"fleet": "at-the-end"',
    );
  });

  test("of a fleet that the ledger does not know is none", async () => {
    expect(await write("nobody")).toBeUndefined();
    expect(await keysOf("nobody")).toEqual([]);
  });

  test("that is written in part leaves the one of before usable", async () => {
    const spec = await aLineage("in-part");
    const before = await dump(parts().ledger, "in-part");
    await openCycle(parts(), spec, "2013-08-01");
    const { s3 } = parts();
    s3.middlewareStack.add(
      (next) => async (request) => {
        const { Key = "" } = request.input as { Key?: string };
        if (Key.includes("/customers.")) throw new Error("killed");
        return next(request);
      },
      { step: "initialize", name: "dies" },
    );
    await expect(write("in-part")).rejects.toThrow("killed");
    s3.middlewareStack.remove("dies");
    const ledger = await anEmptyLedger("in_part");
    await rebuild(ledger, "in-part");
    expect(await dump(ledger, "in-part")).toEqual(before);
    await write("in-part");
    await write("in-part");
    // This one and the one before; what was left half written is gone.
    const folders = (await keysOf("in-part")).map((key) => key.split("/").at(-2));
    expect(new Set(folders)).toHaveProperty("size", 3);
  });

  test("is not overwritten from another ledger, unless that one was rebuilt from it", async () => {
    const spec = await aLineage("another");
    const ledger = await anEmptyLedger("another");
    await openCycle({ ...parts(), ledger }, spec, "2013-08-01");
    const other = { ...parts(), ledger };
    await expect(writeLineage(other, { fleet: "another", at: new Date() })).rejects.toThrow(
      /was written from another ledger than this one, and is not overwritten/,
    );
    const rebuilt = await anEmptyLedger("another_rebuilt");
    await rebuild(rebuilt, "another");
    const own = { ...parts(), ledger: rebuilt };
    await writeLineage(own, { fleet: "another", at: new Date() });
    await writeLineage(own, { fleet: "another", at: new Date() });
    // The ledger that was lost is back: what was rebuilt meanwhile is not overwritten either.
    await expect(write("another")).rejects.toThrow(/another ledger/);
  });
});

describe("an import", () => {
  test("is all or nothing, and asked for again ends the same", async () => {
    await aLineage("again");
    const before = await dump(parts().ledger, "again");
    const ledger = await anEmptyLedger("again");
    const dry = await rebuild(ledger, "again", true);
    expect(dry).toMatchObject({ dryRun: true, rows: { customers: 1, cycles: 1, fleet_specs: 1 } });
    expect(await dump(ledger, "again", [])).toEqual({});
    await rebuild(ledger, "again");
    expect(await dump(ledger, "again")).toEqual(before);
    await expect(rebuild(ledger, "again")).rejects.toThrow(
      'the ledger knows fleet "again" (it has rows of it in fleet_specs): nothing was changed',
    );
  });

  test("takes a lineage of an older ledger, whose columns and tables are fewer", async () => {
    await aLineage("older");
    await forge("older", (manifest) => ({ ...manifest, schema: "0001.sql" }));
    await forgeTable("older", "cycles", ({ cause, estimate, ...row }) => row, [
      "cause",
      "estimate",
    ]);
    await forge("older", (manifest) => ({
      ...manifest,
      tables: manifest.tables.filter(({ name }) => name !== "rebuilds"),
    }));
    const ledger = await anEmptyLedger("older");
    await rebuild(ledger, "older");
    expect(await dump(ledger, "older")).toEqual(await dump(parts().ledger, "older"));
  });

  test.each<[string, RegExp, (fleet: string) => Promise<void>]>([
    [
      "newer",
      /is of a newer ledger \(9999-later\.sql\) than this modelfleet sets up/,
      (fleet) => forge(fleet, (manifest) => ({ ...manifest, schema: "9999-later.sql" })),
    ],
    [
      "format",
      /is written in format 2, and this modelfleet reads format 1/,
      (fleet) => forge(fleet, (manifest) => ({ ...manifest, format: 2 })),
    ],
    [
      "folder",
      /is no lineage's manifest: folder/,
      (fleet) =>
        forge(fleet, (manifest) => ({
          ...manifest,
          folder: "../other/lineage/20130701T000000000Z",
        })),
    ],
    [
      "file",
      /is no lineage's manifest: tables\.0\.name/,
      (fleet) =>
        forge(fleet, (manifest) => ({
          ...manifest,
          tables: [{ ...manifest.tables[0], name: "../../secret" }],
        })),
    ],
    [
      "fleet",
      /is of fleet "somebody-else", not of "fleet"/,
      (fleet) => forge(fleet, (manifest) => ({ ...manifest, fleet: "somebody-else" })),
    ],
    [
      "table",
      /has rows of a table "migrations", which this ledger does not have/,
      (fleet) =>
        forge(fleet, (manifest) => ({
          ...manifest,
          tables: [...manifest.tables, { ...tableOf(manifest, "cycles"), name: "migrations" }],
        })),
    ],
    [
      "column",
      /has a column cycles\.secret, which this ledger does not have/,
      (fleet) => forgeTable(fleet, "cycles", (row) => ({ ...row, secret: 1 }), [], ["secret"]),
    ],
    [
      "sha",
      /has another \S+\/cycles\.jsonl\.gz than was written: its sha256 differs/,
      (fleet) =>
        forge(fleet, (manifest) => ({
          ...manifest,
          tables: manifest.tables.map((table) =>
            table.name === "cycles" ? { ...table, sha256: "0".repeat(64) } : table,
          ),
        })),
    ],
    [
      "count",
      /has 1 rows in \S+cycles\.jsonl\.gz, and its manifest says 2/,
      (fleet) =>
        forge(fleet, (manifest) => ({
          ...manifest,
          tables: manifest.tables.map((table) =>
            table.name === "cycles" ? { ...table, rows: 2 } : table,
          ),
        })),
    ],
    [
      "rows",
      /has rows in cycles that are not of fleet "rows"/,
      (fleet) => forgeTable(fleet, "cycles", (row) => ({ ...row, fleet: "again" })),
    ],
    [
      "value",
      /has a row in cycles that this ledger does not take: .*state/,
      (fleet) =>
        forgeTable(fleet, "cycles", (row) => ({ ...row, state: "'; drop table cycles; --" })),
    ],
    [
      "text",
      /has a row in cycles that this ledger does not take: .*json/,
      (fleet) => forgeTable(fleet, "cycles", () => "]; no json"),
    ],
    [
      "missing",
      /lacks the file s3:\S+cycles\.jsonl\.gz, which its manifest names/,
      async (fleet) => {
        const manifest = await manifestOf(fleet);
        const Key = s3Keys.lineage(fleet) + lineageFile(manifest.folder, "cycles");
        await parts().s3.send(new DeleteObjectCommand({ Bucket: parts().bucket, Key }));
      },
    ],
    [
      "gone",
      /there is no lineage at s3:/,
      async (fleet) => {
        const Key = s3Keys.lineage(fleet) + LINEAGE_MANIFEST;
        await parts().s3.send(new DeleteObjectCommand({ Bucket: parts().bucket, Key }));
      },
    ],
  ])(
    "of a lineage with another %s is refused, and nothing is changed",
    async (fleet, sentence, forged) => {
      await aLineage(fleet);
      await forged(fleet);
      const ledger = (refusing ??= await anEmptyLedger("refusing"));
      const refusal = await rebuild(ledger, fleet).catch((error: unknown) => error);
      expect(refusal).toMatchObject({ message: like(sentence), hint: like(/./) });
      expect(await dump(ledger, fleet, [])).toEqual({});
    },
  );
});

describe("a lineage that is older than what came after it", () => {
  /** By whom, when and of what a version's rows speak; not how long it took, nor where it was computed. */
  const FACTS = {
    releases: `select customer_key, version, cycle, state, decided_by, note, model_package_arn, training_job_name,
                      artifact_uri, workflow_id from releases where fleet = $1 order by 1, 2`,
    publications: `select customer_key, version, stage, state, target_model, endpoint_kind, verification is not null as verified
                     from publications where fleet = $1 order by 1, 2`,
    customers: `select cycle, customer_key, customer, train_rows, data_hash, verification, state from customers
                 where fleet = $1 order by 1, 2`,
    evaluations: `select cycle, customer_key, training_job_name, metrics, champion_metrics, baseline_metrics,
                         artifact_uri, predictions, decision, because, reasons, segments, test_rows, objective_value
                    from evaluations where fleet = $1 order by 1, 2`,
    cycles: `select cycle, spec_hash, window_floor, window_ceiling, workflow_id, sql, columns from cycles
              where fleet = $1 order by 1`,
    release_decisions: `select customer_key, version, state, decided_by, note from release_decisions
                         where fleet = $1 and state <> 'superseded' order by 1, 2, 3`,
    withdrawals: `select customer_key, version, stage, asked_by, because, serves_version from withdrawals
                   where fleet = $1 order by 1, 2`,
    fleet_specs: "select spec_hash, spec from fleet_specs where fleet = $1 order by 1",
  };

  async function factsOf(ledger: pg.Pool, fleet: string): Promise<Record<string, unknown[]>> {
    const facts: Record<string, unknown[]> = {};
    for (const [table, select] of Object.entries(FACTS))
      facts[table] = (await ledger.query<Record<string, unknown>>(select, [fleet])).rows;
    return facts;
  }

  /** SageMaker as it is, which also remembers the training jobs that these tests only make up. */
  const rememberingJobs = (rowsUri: string) => {
    const { sagemaker } = parts();
    const send = async (command: { readonly input: object }) =>
      "TrainingJobName" in command.input
        ? {
            FinalMetricDataList: [
              ...["validation:rmse", "test:rmse", "test:mae", "test:stdev_error", "baseline:rmse"],
              ...["baseline:mae", "train:rows", "validation:rows", "test:rows"],
            ]
              .map((MetricName) => ({ MetricName, Value: 1 }))
              .concat([
                { MetricName: "verification:1", Value: 30 },
                { MetricName: "verification:2", Value: 70 },
              ]),
            InputDataConfig: [
              { ChannelName: "test", DataSource: { S3DataSource: { S3Uri: rowsUri } } },
            ],
          }
        : (sagemaker.send(command as never) as Promise<unknown>);
    return { send } as unknown as Parts["sagemaker"];
  };

  test("is caught up with by registry and stages: decisions, new versions and cycles, who serves", async () => {
    const spec = aFleet({ name: "since" });
    const fleet = spec.name;
    const model = (cycle: string, customer: string, decision: "approve" | "ask") =>
      register(parts(), { spec, cycle, customer, decision });
    await uploadCode(parts(), spec);
    const firsts = [];
    for (const customer of ["a", "b", "c"])
      firsts.push(await model("2013-07-01", customer, "approve"));
    await publish(parts(), spec, ...firsts);
    const a2 = await model("2013-07-15", "a", "ask");
    const b2 = await model("2013-07-15", "b", "ask");
    const c2 = await model("2013-07-15", "c", "approve");
    await model("2013-07-15", "Still Undecided", "ask");
    await publish(parts(), spec, c2);
    await write(fleet);

    await decide(parts(), spec, a2, "approve");
    await decide(parts(), spec, b2, "deny");
    await publish(parts(), spec, a2);
    await withdraw(parts(), spec, c2);
    const changed = { ...spec, concurrency: 7 };
    const again = (customer: string, decision: "approve" | "ask") =>
      register(parts(), { spec: changed, cycle: "2013-08-01", customer, decision });
    const b3 = await again("b", "approve");
    const new1 = await again("Änderung", "ask");
    await again("a", "ask");
    await exportManifest(parts(), changed, "2013-08-01");
    await decide(parts(), spec, new1, "approve");
    await publish(parts(), spec, b3, new1);
    const rows = s3Keys.channel({ fleet, cycle: "2013-08-01", customerKey: "b", channel: "test" });
    await put(parts(), `${rows}data.csv`, Buffer.from("9,1,2\n8,3,4\n7,5,6\n"));

    const ledger = await anEmptyLedger("since");
    const sagemaker = rememberingJobs(`s3://${parts().bucket}/${rows}`);
    const order = { fleet, files: filesOf(fleet), by: "ann", dryRun: false };
    const told = await rebuildFleet({ ...parts(), sagemaker, ledger }, order);

    expect(told.since).toEqual({ decided: 4, registered: 3, served: 4 });
    expect(told.lost).toEqual([]);
    expect(await factsOf(ledger, fleet)).toEqual(await factsOf(parts().ledger, fleet));
    // From the right number on.
    const next = await register(
      { ...parts(), ledger },
      { spec, cycle: "2013-09-01", customer: "b", decision: "ask" },
    );
    expect(next.version).toBe(4);
    // And back to what served before.
    await withdraw({ ...parts(), ledger }, spec, b3);
    expect(await servesNow(ledger, fleet)).toMatchObject({ a: 2, b: 1, c: 1 });
  });

  test("says what neither registry nor stages know", async () => {
    const spec = aFleet({ name: "lossy" });
    await uploadCode(parts(), spec);
    const a1 = await register(parts(), {
      spec,
      cycle: "2013-07-01",
      customer: "a",
      decision: "approve",
    });
    await publish(parts(), spec, a1);
    await write("lossy");
    // No manifest of this cycle: its spec is nowhere.
    const other = { ...spec, concurrency: 7 };
    const lost = await register(parts(), {
      spec: other,
      cycle: "2013-08-01",
      customer: "a",
      decision: "approve",
    });
    await publish(parts(), spec, lost);
    const forgotten = await register(parts(), {
      spec,
      cycle: "2013-08-15",
      customer: "B b",
      decision: "ask",
    });
    const ledger = await anEmptyLedger("lossy");
    const { since, lost: sentences } = await rebuild(ledger, "lossy");
    expect(since).toEqual({ decided: 0, registered: 1, served: 0 });
    expect(sentences).toEqual([
      `held-out rows and predictions of version 1 of ${forgotten.customerKey}: where it serves it goes on, but it is not published or gone back to, since nothing can verify it`,
      like(
        /^model package \S+lossy--a\/2: the spec .* is nowhere any more; run its cycle 2013-08-01/,
      ),
      `version 2 of a, which stage "${STAGE}" serves: neither lineage nor registry has it`,
    ]);
    expect(await servesNow(ledger, "lossy")).toEqual({ a: 1 });
    expect(jobOf({ spec, cycle: "2013-08-15", customer: "B b" })).toBe(
      (
        await ledger.query<{ job: string }>(
          "select training_job_name as job from releases where fleet = 'lossy' and cycle = '2013-08-15'",
        )
      ).rows[0]?.job,
    );
    const refused = { ...parts(), ledger: await anEmptyLedger("unreachable") };
    const stageAccess = () => Promise.reject(new Error("no such role"));
    const order = { fleet: "lossy", files: filesOf("lossy"), by: "ann", dryRun: true };
    const unreachable = await rebuildFleet({ ...refused, stageAccess }, order);
    expect(unreachable.lost.at(-1)).toBe(
      `stage "${STAGE}" could not be looked at (no such role): it stands as the lineage has it`,
    );
  });
});

async function servesNow(ledger: pg.Pool, fleet: string): Promise<Record<string, number>> {
  const { rows } = await ledger.query<{ customer_key: string; version: number }>(
    "select customer_key, version from publications where fleet = $1 and state = 'serving'",
    [fleet],
  );
  return Object.fromEntries(rows.map(({ customer_key: key, version }) => [key, version]));
}

let refusing: pg.Pool | undefined;

const like = (pattern: RegExp): unknown => expect.stringMatching(pattern);

async function keysOf(fleet: string): Promise<string[]> {
  const { s3, bucket } = parts();
  const { Contents = [] } = await s3.send(
    new ListObjectsV2Command({ Bucket: bucket, Prefix: s3Keys.lineage(fleet) }),
  );
  return Contents.map(({ Key = "" }) => Key);
}

async function manifestOf(fleet: string): Promise<LineageManifest> {
  const text = await readObject(parts(), s3Keys.lineage(fleet) + LINEAGE_MANIFEST);
  return JSON.parse(text ?? "") as LineageManifest;
}

async function forge(fleet: string, as: (manifest: LineageManifest) => object): Promise<void> {
  const forged = as(await manifestOf(fleet));
  const key = s3Keys.lineage(fleet) + LINEAGE_MANIFEST;
  await put(parts(), key, Buffer.from(JSON.stringify(forged)));
}

function tableOf(manifest: LineageManifest, name: string) {
  const table = manifest.tables.find((one) => one.name === name);
  if (table === undefined) throw new Error(`the lineage has no table ${name}`);
  return table;
}

/** Writes a table's file anew, with a manifest that says so: only what is in it is wrong. */
async function forgeTable(
  fleet: string,
  name: string,
  as: (row: Record<string, unknown>) => object | string,
  dropped: readonly string[] = [],
  added: readonly string[] = [],
): Promise<void> {
  const { s3, bucket } = parts();
  const manifest = await manifestOf(fleet);
  const key = s3Keys.lineage(fleet) + lineageFile(manifest.folder, name);
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  const text = gunzipSync(await (Body?.transformToByteArray() ?? new Uint8Array())).toString(
    "utf8",
  );
  const rows = text.split("\n").slice(0, -1);
  const forged = rows.map((row) => as(JSON.parse(row) as Record<string, unknown>));
  const lines = forged.map((row) => (typeof row === "string" ? row : JSON.stringify(row)));
  const file = gzipSync(lines.map((line) => `${line}\n`).join(""));
  await put(parts(), key, file);
  const sha256 = createHash("sha256").update(file).digest("hex");
  await forge(fleet, (before) => ({
    ...before,
    tables: before.tables.map((table) =>
      table.name !== name
        ? table
        : {
            ...table,
            ...{ bytes: file.length, sha256 },
            columns: [...table.columns.filter((column) => !dropped.includes(column)), ...added],
          },
    ),
  }));
}

async function putSeededPointer(): Promise<void> {
  const key = customerKey("ATL");
  const pointer = {
    ...{ endpoint: "delays-sandbox", targetModel: `${key}/v000002.tar.gz`, version: 2 },
    publishedAt: "2026-11-01T10:01:00.000Z",
  };
  const place = { fleet: SEEDED, stage: "sandbox", customerKey: key };
  await put(parts(), s3Keys.pointer(place), Buffer.from(JSON.stringify(pointer)));
}

/** A row in each table that the seeded ledger leaves empty. */
async function fillTheRest(ledger: pg.Pool): Promise<void> {
  const at = "2026-11-01T10:00:00.123456Z";
  const cycle = "2013-08-01";
  const insert = (table: string, row: Record<string, unknown>) =>
    ledger.query(
      `insert into ${table} (${Object.keys(row).join(", ")}) values (${Object.keys(row)
        .map((_name, index) => `$${index + 1}`)
        .join(", ")})`,
      Object.values(row),
    );
  const fleet = SEEDED;
  const { rows } = await ledger.query<{ customer_key: string }>(
    "select customer_key from releases where fleet = $1 and version = 2",
    [fleet],
  );
  const version = { fleet, customer_key: rows[0]?.customer_key, version: 2 };
  await insert("tuning_jobs", {
    ...{ fleet, cycle, customer_key: version.customer_key, round: 0, work_hash: "work" },
    ...{
      tuning_job_name: "mf-search",
      account: "111111111111",
      region: "us-east-1",
      testing: false,
    },
    ...{
      strategy: "Bayesian",
      objective_metric: "validation:rmse",
      objective_direction: "minimize",
    },
    ...{
      max_jobs: 8,
      parallel: 2,
      ranges: "[]",
      static_hyperparameters: '{"a": null}',
      code_hash: "c",
    },
    ...{ image: "i", parents: '["mf-older"]', warm_start_because: "newest", reasons: "[]" },
    best_value: 0.1 + 0.2,
  });
  await insert("tuning_trials", {
    ...{ tuning_job_name: "mf-search", training_job_name: "mf-search-001", status: "Completed" },
    ...{ objective_value: Number.NaN, hyperparameters: '{"eta": "0.3"}', started_at: at },
  });
  await insert("release_decisions", {
    ...version,
    ...{ decided_at: at, state: "approved", decided_by: "ada", note: "fine\nthough" },
  });
  await insert("notifications", {
    ...{ fleet, cycle, kind: "remind", claimed_by: "release", claimed_at: at },
  });
  await insert("closed_stages", { fleet, stage: "prod", activity: "copy", because: "denied" });
  await insert("withdrawals", {
    ...version,
    ...{ stage: "sandbox", asked_by: "ada", state: "moved", passed_over: [1, 3], workflow_id: "w" },
  });
  await insert("cohorts", {
    ...{ fleet, cycle, version: 7, model_package_arn: "arn:cohort", workflow_id: "w" },
    ...{ state: "published", members: 3, figures: "{}" },
  });
  await insert("customer_endpoints", {
    ...version,
    ...{ stage: "sandbox", endpoint_name: "e", state: "live" },
  });
  await insert("preprocessors", {
    ...{ fleet, cycle, generation: 1, preprocessor_hash: "p", spec_hash: "spec" },
    ...{ training_job_name: "mf-fit", artifact_uri: "s3://bucket/fit" },
  });
  await insert("promotions", { ...version, stage: "sandbox", place: 0, state: "serving" });
  await insert("drift_runs", {
    ...{ fleet, run: "drift", at, spec_hash: "spec", workflow_id: "w", dry_run: false },
    state: "completed",
  });
  const drifted = { fleet, run: "drift", customer_key: "a" };
  await insert("drift_customers", {
    ...drifted,
    ...{ customer: "A", champion_version: 1, champion_cycle: cycle, action: "none", because: "-" },
  });
  await insert("drift_figures", {
    ...drifted,
    ...{ measure: "psi", column_name: "x", value: Infinity, threshold: 0.2, by_chance: 1e-300 },
    exceeds: true,
  });
  await insert("collections", { fleet, at, collected_by: "ann", found: '{"artifacts": 2}' });
  await insert("retirements", {
    ...version,
    ...{ absent_since: at, last_cycle: cycle, retired_by: "ann", retired_at: at },
  });
  await insert("destructions", {
    destroyed_fleet: fleet,
    stage: "qa",
    destroyed_by: "ann",
    found: "{}",
  });
}
