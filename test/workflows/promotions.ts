/** Three stages and what people say of a version on its way through them, and what its workflow has done where. */
import { expect } from "vitest";
import type { PromotionStage } from "../../fleet/stages.js";
import type { Decision } from "../../workflows/messages.js";
import type { Activities, Fakes } from "./fakes.js";

/** Long enough for nothing to happen by itself. */
const WEEK = 7 * 24 * 60 * 60;

export const stagesOf = (
  changes: Readonly<Record<string, Partial<PromotionStage>>> = {},
): PromotionStage[] =>
  ["sandbox", "qa", "prod"].map((name) => ({
    ...{ name, approval: "release", lagSeconds: 0 },
    ...changes[name],
  }));

export const waitsForProd = stagesOf({ prod: { lagSeconds: WEEK } });
export const approval: Decision = { verdict: "approve", by: "ann" };
export const denial: Decision = { verdict: "deny", by: "bob", note: "wrong weather" };
export const byPolicy = { approvedBy: "policy:energy" };

/** Of a denial: the stages that were reached until then, production first. */
export const DENIED_WHILE_PUBLISHING = [
  ["the first stage", "sandbox", ["sandbox"]],
  ["the second stage", "qa", ["qa", "sandbox"]],
] as const;

/** In which stages, in order; once for each call. */
export const placesOf = (fakes: Fakes, name: keyof Activities): string[] =>
  fakes.named(name).map((input) => (input as { readonly stage: string }).stage);

interface Told {
  readonly standings: readonly { readonly stage: string; readonly state: string }[];
}

/** The last that the ledger was told of the way: state by stage. */
export function standingsOf(fakes: Fakes): Readonly<Record<string, string>> {
  const told = [...fakes.named("recordPromotion"), ...fakes.named("recordCohortPromotion")];
  const { standings = [] } = (told.at(-1) ?? {}) as Partial<Told>;
  return Object.fromEntries(standings.map(({ stage, state }) => [stage, state]));
}

export const untilStanding = (fakes: Fakes, states: Readonly<Record<string, string>>) =>
  expect.poll(() => standingsOf(fakes), { timeout: 30_000 }).toMatchObject(states);
