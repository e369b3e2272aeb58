/** What is made of an endpoint's answer before it is printed. */
import { expect, test } from "vitest";
import { readAnswer } from "../../client/cli/invoke-answer.js";

const bytes = (text: string) => new TextEncoder().encode(text);

test.each([
  ["numbers a line", "1.5\n2\n", "text/csv", { kind: "predictions", predictions: [1.5, 2] }],
  ["with a charset", "1", "Text/CSV; charset=utf-8", { kind: "predictions", predictions: [1] }],
  ["words in CSV", "2025-03-01,7\n", "text/csv", { kind: "text", text: "2025-03-01,7\n" }],
  ["JSON", '{"a":[1]}', "application/json", { kind: "json", value: { a: [1] } }],
  ["JSON that is none", "{oops", "application/json", { kind: "text", text: "{oops" }],
  ["any other text", "fine", "text/plain", { kind: "text", text: "fine" }],
  ["an answer without a type", "fine", "", { kind: "text", text: "fine" }],
])("%s", (_name, text, type, answer) => {
  expect(readAnswer(bytes(text), type)).toEqual(answer);
});

test("what is no text stays as it is", () => {
  const image = Uint8Array.of(0x89, 0x50, 0xff, 0xfe);
  expect(readAnswer(image, "image/png")).toEqual({ kind: "bytes", bytes: image });
});
