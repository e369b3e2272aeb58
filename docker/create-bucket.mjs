/** Makes the stack's bucket, with versioning on; settings from the environment. */
import { ensureVersionedBucket } from "../dist/local/stack/s3-bucket.js";

const {
  AWS_ENDPOINT_URL_S3: endpoint,
  AWS_REGION: region,
  MODELFLEET_BUCKET: bucket,
  AWS_ACCESS_KEY_ID: accessKeyId,
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
} = process.env;
await ensureVersionedBucket({ endpoint, region, bucket, keys: { accessKeyId, secretAccessKey } });
