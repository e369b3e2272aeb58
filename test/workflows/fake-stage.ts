/** A stage in miniature: ledger, artifacts and what the endpoint has in memory, behind the activities' names. */
import { targetModel, type ArtifactNaming } from "../../fleet/names.js";
import type { Publication, Withdrawal } from "../../workflows/messages.js";
import type { Activities } from "./fakes.js";

type Named = { readonly customerKey: string; readonly version: number };
const nameOf = ({ customerKey, version }: Named): string => `${customerKey}/${version}`;

/** Runs before an activity does its work: tests let things happen there. */
type Moment = (activity: keyof Activities, times: number) => Promise<void>;

export class FakeStage {
  /** By customer, what the ledger says serves. */
  readonly serves = new Map<string, number>();
  /** By customer, what lies under the stable name. */
  readonly object = new Map<string, number>();
  /** By customer, what the containers remember under the stable name. */
  readonly loaded = new Map<string, number>();
  /** Versions that have served, newest last. */
  readonly retired = new Map<string, number[]>();
  readonly denied = new Set<string>();
  /** Versions that do not answer as in training. */
  readonly bad = new Set<string>();
  /** What publications (`a/1`) and withdrawals (`not a/1`) were told, in order. */
  readonly told = new Map<string, string[]>();
  moment: Moment = async () => {};
  private readonly counts = new Map<string, number>();
  private changed: (() => void)[] = [];

  private readonly naming: ArtifactNaming;

  constructor(naming: ArtifactNaming) {
    this.naming = naming;
  }

  /** As if it had been published before. */
  serve(customerKey: string, ...versions: number[]): this {
    const last = versions.at(-1) ?? 0;
    this.retired.set(customerKey, versions);
    this.serves.set(customerKey, last);
    this.object.set(customerKey, last);
    this.loaded.set(customerKey, last);
    return this;
  }

  async reach(...names: string[]): Promise<void> {
    while (!names.every((name) => this.told.has(name)))
      await new Promise<void>((resolve) => this.changed.push(resolve));
  }

  /** What a client gets: of the pointer, or of the stable name. */
  answers(customerKey: string): number | undefined {
    return this.naming === "stable" ? this.loaded.get(customerKey) : this.serves.get(customerKey);
  }

  readonly activities: Partial<Activities> = {
    copyArtifacts: async ({ publications }) => {
      await this.reached("copyArtifacts");
      const rejected = publications.flatMap((one) => {
        const because = this.refusalOf(one);
        return because === null ? [] : [{ ...one, because }];
      });
      for (const one of rejected) this.tell(nameOf(one), one.because);
      const accepted = publications.filter((one) => this.refusalOf(one) === null);
      if (this.naming === "versioned") return { rejected, overwritten: [] };
      for (const { customerKey, version } of accepted) this.object.set(customerKey, version);
      return { rejected, overwritten: accepted.map(({ customerKey }) => customerKey) };
    },
    restoreArtifacts: async ({ customerKeys }) => {
      await this.reached("restoreArtifacts");
      const restored = customerKeys.map((customerKey) => {
        const version = this.toServe(customerKey);
        if (version === null) this.object.delete(customerKey);
        else this.object.set(customerKey, version);
        return { customerKey, version };
      });
      return { restored, reload: this.naming === "stable" };
    },
    ensureEndpoint: async ({ fleet, stage, reload }) => {
      await this.reached("ensureEndpoint");
      if (reload) {
        this.loaded.clear();
        for (const [customerKey, version] of this.object) this.loaded.set(customerKey, version);
      }
      return { endpointName: `${fleet}-${stage}` };
    },
    verifyAndPoint: async ({ publications }) => {
      await this.reached("verifyAndPoint");
      const refused = publications.filter((one) => !this.publish(one));
      return { refused: refused.map(({ customerKey }) => customerKey) };
    },
    settleWithdrawals: async ({ withdrawals, restored }) => {
      await this.reached("settleWithdrawals");
      const open = withdrawals.filter((one) => {
        const put = restored?.find(({ customerKey }) => customerKey === one.customerKey);
        return !this.settle(one, put?.version);
      });
      return { open };
    },
    rejectPublications: async ({ publications, because }) => {
      await this.reached("rejectPublications");
      for (const one of publications) this.tell(nameOf(one), because);
    },
    cancelPublications: async ({ publications }) => {
      await this.reached("cancelPublications");
      for (const one of publications) this.tell(nameOf(one), "withdrawn");
    },
    tellDelay: async ({ withdrawals, because }) => {
      for (const one of withdrawals) this.tell(`delay of ${nameOf(one)}`, because);
    },
  };

  private async reached(activity: keyof Activities): Promise<void> {
    const times = (this.counts.get(activity) ?? 0) + 1;
    this.counts.set(activity, times);
    await this.moment(activity, times);
  }

  private refusalOf(one: Named): string | null {
    if (this.denied.has(nameOf(one))) return "withdrawn";
    const serving = this.serves.get(one.customerKey) ?? 0;
    return one.version < serving ? `version ${serving} serves, which is newer` : null;
  }

  private publish(one: Publication): boolean {
    const { customerKey, version } = one;
    const answered = this.naming === "versioned" || this.loaded.get(customerKey) === version;
    const because =
      this.refusalOf(one) ?? (answered && !this.bad.has(nameOf(one)) ? null : "answers otherwise");
    this.tell(nameOf(one), because ?? "serving");
    if (because !== null) return false;
    this.retired.set(customerKey, [...(this.retired.get(customerKey) ?? []), version]);
    this.serves.set(customerKey, version);
    return true;
  }

  private toServe(customerKey: string): number | null {
    const serving = this.serves.get(customerKey);
    if (serving === undefined) return null;
    if (!this.denied.has(nameOf({ customerKey, version: serving }))) return serving;
    const others = (this.retired.get(customerKey) ?? []).filter(
      (version) => version !== serving && !this.denied.has(nameOf({ customerKey, version })),
    );
    return others.length === 0 ? null : Math.max(...others);
  }

  /** `put`: what was restored before the refresh; undefined without one. */
  private settle(withdrawal: Withdrawal, put: number | null | undefined): boolean {
    const { customerKey, version } = withdrawal;
    const serving = this.serves.get(customerKey);
    if (serving === version) {
      if (this.naming === "stable" && put === undefined) return false;
      const next = this.toServe(customerKey);
      if (put !== undefined && put !== next) return false;
      if (next === null) this.serves.delete(customerKey);
      else if (this.naming === "stable" && this.loaded.get(customerKey) !== next) return false;
      else this.serves.set(customerKey, next);
    } else if (
      this.naming === "stable" &&
      put === undefined &&
      this.object.get(customerKey) === version
    )
      return false; // Being published.
    const now = this.serves.get(customerKey);
    this.tell(
      `not ${nameOf(withdrawal)}`,
      now === undefined ? "nothing" : targetModel(customerKey, now),
    );
    return true;
  }

  private tell(name: string, what: string): void {
    this.told.set(name, [...(this.told.get(name) ?? []), what]);
    for (const wake of this.changed.splice(0)) wake();
  }
}
