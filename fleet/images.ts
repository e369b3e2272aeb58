/** The container image that trains and serves when a spec names none: SageMaker's own XGBoost. */
import { SpecError } from "./errors.js";

/** XGBoost 1.7: script mode, multi-model serving, Python 3. */
const REPOSITORY = "sagemaker-xgboost:1.7-1";

/** Registry accounts as published in the SageMaker Python SDK, image_uri_config/xgboost.json. */
const REGISTRIES: Readonly<Record<string, string>> = {
  "af-south-1": "510948584623",
  "ap-east-1": "651117190479",
  "ap-northeast-1": "354813040037",
  "ap-northeast-2": "366743142698",
  "ap-northeast-3": "867004704886",
  "ap-south-1": "720646828776",
  "ap-southeast-1": "121021644041",
  "ap-southeast-2": "783357654285",
  "ap-southeast-3": "951798379941",
  "ca-central-1": "341280168497",
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
  "us-west-1": "746614075791",
  "us-west-2": "246618743249",
};

/** Images are pulled from the region that they run in. Throws SpecError where AWS publishes none. */
export function containerImage(image: string | undefined, region: string): string {
  if (image !== undefined) return image;
  const registry = REGISTRIES[region];
  if (registry === undefined)
    throw new SpecError(
      `no SageMaker XGBoost image is known for region ${region}`,
      "name one in the fleet file as training.image",
    );
  return `${registry}.dkr.ecr.${region}.amazonaws.com/${REPOSITORY}`;
}
