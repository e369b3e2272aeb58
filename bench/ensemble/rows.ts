/** Rows like the diabetes data's, as many as are wanted: ten measurements and a target. */
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";

const FEATURES = 10;
const SHARES = { train: 0.6, validation: 0.2, test: 0.2 };

/** Writes the channels, and returns where and how many bytes. */
export async function writeRows(
  s3: S3Client,
  bucket: string,
  rows: number,
): Promise<{ prefix: string; bytes: number }> {
  const prefix = `bench/ensemble/${rows}/`;
  const random = sequence(442);
  let bytes = 0;
  const put = async (path: string, text: string): Promise<void> => {
    bytes += Buffer.byteLength(text);
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: prefix + path, Body: text }));
  };
  for (const [channel, share] of Object.entries(SHARES))
    await put(`${channel}/data.csv`, csv(Math.max(1, Math.round(share * rows)), random));
  const columns = Array.from({ length: FEATURES }, (_none, index) => ({
    name: `x${index}`,
    type: "number",
  }));
  await put("schema/columns.json", JSON.stringify({ target: "y", columns }));
  return { prefix, bytes };
}

function csv(rows: number, random: () => number): string {
  const lines = Array.from({ length: rows }, () => {
    const features = Array.from({ length: FEATURES }, () => Math.round(random() * 1e4) / 100);
    const target = features.reduce((sum, value, index) => sum + value * (index % 3), 0);
    return [Math.round(target + 50 * random()), ...features].join(",");
  });
  return `${lines.join("\n")}\n`;
}

/** The same numbers between 0 and 1 every time. */
function sequence(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1103515245 + 12345) % 2147483648) / 2147483648;
}
