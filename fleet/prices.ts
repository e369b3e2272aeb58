/** What an hour of an instance costs: list prices by region, and what a fleet file says instead. */

/** US dollars an hour, by instance type. */
export type Prices = Readonly<Record<string, number>>;

/**
 * On-demand list prices. Training, processing, batch transform, warm pools and real-time inference cost the same for
 * these types. Only what was looked up stands here: for another region or type the fleet file gives `prices`.
 */
export const PRICE_LIST = {
  source: "https://aws.amazon.com/sagemaker/pricing/",
  asOf: "2025",
  regions: {
    "us-east-1": {
      "ml.t2.medium": 0.056,
      "ml.t2.large": 0.111,
      "ml.m5.large": 0.115,
      "ml.m5.xlarge": 0.23,
      "ml.m5.2xlarge": 0.461,
      "ml.m5.4xlarge": 0.922,
      "ml.m5.12xlarge": 2.765,
      "ml.m5.24xlarge": 5.53,
      "ml.c5.xlarge": 0.204,
      "ml.c5.2xlarge": 0.408,
      "ml.c5.4xlarge": 0.816,
      "ml.c5.9xlarge": 1.836,
      "ml.c5.18xlarge": 3.672,
      "ml.g4dn.xlarge": 0.7364,
      "ml.g4dn.2xlarge": 0.94,
    },
  },
} as const;

const LISTED: Readonly<Record<string, Prices>> = PRICE_LIST.regions;

/** The region whose prices a plan takes when nobody says where the fleet is trained. */
export const LIST_REGION = "us-east-1";

export interface Price {
  readonly usdPerHour: number;
  /** Where the figure is from, for whoever doubts it. */
  readonly source: string;
}

/** Null when neither the fleet file nor the list knows it: a price is told or missing, never guessed. */
export function priceOf(
  instanceType: string,
  { region, prices = {} }: { readonly region: string; readonly prices?: Prices | undefined },
): Price | null {
  const own = prices[instanceType];
  if (own !== undefined) return { usdPerHour: own, source: "fleet file" };
  const listed = LISTED[region]?.[instanceType];
  if (listed === undefined) return null;
  return { usdPerHour: listed, source: `list price of ${region}, ${PRICE_LIST.asOf}` };
}
