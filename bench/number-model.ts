/** A model that is made up: its artifact holds a number, and its code answers that for every row. */
import { buffer } from "node:stream/consumers";
import { createGzip } from "node:zlib";
import { pack } from "tar-stream";

/** The endpoint's code. */
export const INFERENCE = `
import json
from pathlib import Path

def model_fn(model_dir):
    return json.loads((Path(model_dir) / "model.json").read_text())["number"]

def input_fn(body, content_type):
    return (body if isinstance(body, str) else body.decode()).splitlines()

def predict_fn(rows, number):
    return [number for _row in rows]

def output_fn(predictions, accept):
    return "\\n".join(str(prediction) for prediction in predictions)
`;

/** The artifact of the model that answers `number`. */
export const numberArtifact = (number: number): Promise<Buffer> =>
  tarGz("model.json", JSON.stringify({ number }));

/** An archive of one file. */
export async function tarGz(name: string, content: string): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name }, content);
  archive.finalize();
  return buffer(archive.pipe(createGzip()));
}
