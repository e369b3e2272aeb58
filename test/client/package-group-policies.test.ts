/** Thousands of model package groups: each is read, a few at a time, and what is told of them is in their order. */
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { createColors } from "picocolors";
import { describe, expect, test } from "vitest";
import { planLines } from "../../client/cli/accounts.js";
import type { Shell } from "../../client/cli/shell.js";
import { inOrder } from "../../client/in-order.js";
import {
  lookAtGroups,
  putGroupPolicies,
  type GroupsLook,
  type GroupsOptions,
} from "../../client/package-group-policies.js";
import { mergePolicy, packageGroupStatement } from "../../fleet/account-policies.js";

const HOME = "111111111111";
const FLEET = "churn";
const GROUPS = 1250;
const remote = [
  { name: "qa", account: "222222222222", role: "arn:aws:iam::222222222222:role/stage" },
];

const nameOf = (index: number): string => `${FLEET}--c${String(index).padStart(5, "0")}`;
const arnOf = (name: string): string =>
  `arn:aws:sagemaker:us-east-1:${HOME}:model-package-group/${name}`;
const names = Array.from({ length: GROUPS }, (_none, index) => nameOf(index));

/** As `accounts apply` has made it. */
function wholePolicy(name: string): string {
  const wanted = remote.map((stage) =>
    packageGroupStatement({ fleet: FLEET, groupArn: arnOf(name) }, stage),
  );
  return mergePolicy(undefined, wanted)?.policy ?? "";
}

/** Answers in an order of its own: calls that are under way together end last first. */
class Registry {
  most = 0;
  readonly asked: string[] = [];
  readonly put: string[] = [];
  pages = 0;
  private waiting: (() => void)[] = [];
  private readonly policies: ReadonlyMap<string, string>;

  constructor(policies: ReadonlyMap<string, string>) {
    this.policies = policies;
  }

  readonly client = {
    send: (command: { readonly input: Record<string, unknown>; readonly constructor: object }) =>
      this.answer(command.constructor as { readonly name: string }, command.input),
  } as unknown as SageMakerClient;

  private async answer({ name: kind }: { readonly name: string }, input: Record<string, unknown>) {
    if (kind === "ListModelPackageGroupsCommand") return this.page(Number(input["NextToken"] ?? 0));
    const name = String(input["ModelPackageGroupName"]);
    await this.turn();
    if (kind === "PutModelPackageGroupPolicyCommand") return void this.put.push(name);
    this.asked.push(name);
    const ResourcePolicy = this.policies.get(name);
    if (ResourcePolicy === undefined)
      throw new Error(`Cannot find resource policy for model package group ${name}`);
    return { ResourcePolicy };
  }

  private page(start: number) {
    this.pages++;
    const end = start + 100;
    return {
      // Another fleet's, whose name holds this one's, is listed as well.
      ModelPackageGroupSummaryList: [...names.slice(start, end), `old-${FLEET}--c${start}`].map(
        (name) => ({ ModelPackageGroupName: name, ModelPackageGroupArn: arnOf(name) }),
      ),
      ...(end < GROUPS && { NextToken: String(end) }),
    };
  }

  private async turn(): Promise<void> {
    await new Promise<void>((go) => {
      this.waiting.push(go);
      this.most = Math.max(this.most, this.waiting.length);
      setImmediate(() => this.waiting.pop()?.());
    });
  }
}

const look = (registry: Registry, options?: GroupsOptions): Promise<GroupsLook> =>
  lookAtGroups(registry.client, { fleet: FLEET, remote }, options);

describe("the groups of a fleet", () => {
  test("are all read, at most eight at a time, and what they lack comes in their order", async () => {
    const even = names.filter((_name, index) => index % 2 === 0);
    const registry = new Registry(new Map(even.map((name) => [name, wholePolicy(name)])));
    const told: number[] = [];
    const { changes, ...read } = await look(registry, { onLooked: (groups) => told.push(groups) });

    expect(read).toEqual({ looked: GROUPS, more: false });
    expect(changes.map(({ name }) => name)).toEqual(names.filter((name) => !even.includes(name)));
    expect([...registry.asked].sort()).toEqual(names);
    expect(registry.asked).not.toEqual(names);
    expect(registry.most).toBe(8);
    expect(told).toEqual(names.map((_name, index) => index + 1));
  });

  test("are told in one line for all that lack the same, and the others each by its name", async () => {
    const theirs = { Sid: "Audit", Effect: "Allow", Principal: "*", Action: "*", Resource: "*" };
    const changed = wholePolicy(nameOf(7)).replace("sagemaker:ListModelPackages", "sagemaker:*");
    const audited = JSON.stringify({ Version: "2012-10-17", Statement: [theirs] });
    const registry = new Registry(
      new Map([
        [nameOf(3), wholePolicy(nameOf(3))],
        [nameOf(7), changed],
        [nameOf(9), audited],
      ]),
    );
    const { changes, looked: groups } = await look(registry);
    const plain = createColors(false);
    const lines = planLines({ colors: plain } as Shell, {
      ...{ fleet: FLEET, home: HOME, stages: [{ stage: "qa", account: "222222222222" }], groups },
      steps: changes.map((one) => ({ kind: "group-policy", account: HOME, ...one })),
      ...{ problems: [], notes: [] },
    });
    const sid = changes[0]?.adds[0] ?? "";
    expect(lines).toEqual([
      "churn  1,249 things missing in 2 accounts",
      "",
      `  ${HOME}  home`,
      `    + policy of model package group ${nameOf(7)}: replace ${sid}`,
      `    + policies of 1,248 model package groups (${nameOf(0)}, ${nameOf(1)}, ${nameOf(2)}, … 1245 more): add ${sid}`,
      "",
      "  222222222222  qa",
      "    ok",
    ]);
    const kept = changes.find(({ name }) => name === nameOf(9));
    expect(JSON.parse(kept?.policy ?? "")).toMatchObject({ Statement: [theirs, { Sid: sid }] });
  });

  test("are read no further than the newest page by who only wants to know", async () => {
    const registry = new Registry(new Map());
    const { changes, ...read } = await look(registry, { newestOnly: true });
    expect(read).toEqual({ looked: 100, more: true });
    expect(changes.map(({ name }) => name)).toEqual(names.slice(0, 100));
    expect(registry.pages).toBe(1);
  });

  test("get their policies a few at a time, and each is told in its order", async () => {
    const registry = new Registry(new Map());
    const changes = names.slice(0, 50).map((name) => ({ name, policy: wholePolicy(name) }));
    const told: string[] = [];
    await putGroupPolicies(registry.client, changes, ({ name }) => told.push(name));
    expect(told).toEqual(names.slice(0, 50));
    expect([...registry.put].sort()).toEqual(told);
    expect(registry.most).toBe(8);
  });
});

test("after a failure no more are begun, and what was done beside it is told", async () => {
  const begun: number[] = [];
  const told: number[] = [];
  const all = inOrder(3, Array.from({ length: 100 }).keys(), async (each) => {
    begun.push(each);
    if (each === 4) throw new Error("AccessDenied");
    return each;
  });
  const run = async () => {
    for await (const one of all) told.push(one);
  };
  await expect(run()).rejects.toThrow("AccessDenied");
  expect(told).toEqual([0, 1, 2, 3, 5, 6]);
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6]);
});
