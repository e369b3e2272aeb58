/** The container images that train and serve when a spec names none: SageMaker's own, by framework and region. */
import { SpecError } from "./errors.js";

/** The framework images that a spec may choose by name. */
export const FRAMEWORKS = ["xgboost", "scikit-learn"] as const;
export type Framework = (typeof FRAMEWORKS)[number];

/** XGBoost 1.7 and scikit-learn 1.2: script mode, multi-model serving, Python 3. */
const REPOSITORIES: Readonly<Record<Framework, string>> = {
  xgboost: "sagemaker-xgboost:1.7-1",
  "scikit-learn": "sagemaker-scikit-learn:1.2-1-cpu-py3",
};

/**
 * Registry accounts as the SageMaker Python SDK 2.257.7 has them, image_uri_config/xgboost.json; sklearn.json has the
 * same ones. Without AWS's secret regions, whose image addresses end otherwise.
 */
const REGISTRIES: Readonly<Record<string, string>> = {
  "af-south-1": "510948584623",
  "ap-east-1": "651117190479",
  "ap-northeast-1": "354813040037",
  "ap-northeast-2": "366743142698",
  "ap-northeast-3": "867004704886",
  "ap-south-1": "720646828776",
  "ap-south-2": "628508329040",
  "ap-southeast-1": "121021644041",
  "ap-southeast-2": "783357654285",
  "ap-southeast-3": "951798379941",
  "ap-southeast-4": "106583098589",
  "ca-central-1": "341280168497",
  "ca-west-1": "190319476487",
  "cn-north-1": "450853457545",
  "cn-northwest-1": "451049120500",
  "eu-central-1": "492215442770",
  "eu-central-2": "680994064768",
  "eu-north-1": "662702820516",
  "eu-south-1": "978288397137",
  "eu-south-2": "104374241257",
  "eu-west-1": "141502667606",
  "eu-west-2": "764974769150",
  "eu-west-3": "659782779980",
  "il-central-1": "898809789911",
  "me-central-1": "272398656194",
  "me-south-1": "801668240914",
  "sa-east-1": "737474898029",
  "us-east-1": "683313688378",
  "us-east-2": "257758044811",
  "us-gov-east-1": "237065988967",
  "us-gov-west-1": "414596584902",
  "us-west-1": "746614075791",
  "us-west-2": "246618743249",
};

/** What a piece of a spec says about its image. */
export interface ImageChoice {
  readonly framework: Framework;
  readonly image?: string | undefined;
}

/** Images are pulled from the region that they run in. Throws SpecError for a region that is not in the table. */
export function containerImage({ framework, image }: ImageChoice, region: string): string {
  if (image !== undefined) return image;
  const registry = REGISTRIES[region];
  if (registry === undefined)
    throw new SpecError(
      `no SageMaker ${framework} image is known for region ${region}`,
      "name one in the fleet file as `image`",
    );
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  return `${registry}.dkr.ecr.${region}.${domain}/${REPOSITORIES[framework]}`;
}
