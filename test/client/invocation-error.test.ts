/** What is told of a model that fails: one line for a person, all of it for a program. */
import { expect, test } from "vitest";
import { invocationError, ModelFailed } from "../../client/invocation-error.js";

const call = { endpointName: "sales-sandbox", targetModel: "north/v000002.tar.gz" };
const TRACE =
  'Traceback (most recent call last):\n  File "x.py", line 3\nValueError: no such thing\n';

const modelError = (OriginalMessage: string, more: object = {}): Error =>
  Object.assign(new Error(`Received client error (400) with message "${OriginalMessage}"`), {
    name: "ModelError",
    OriginalMessage,
    ...more,
  });

test.each([
  [
    "the exception's message, without its traceback",
    `row 1 has 1 field\n${TRACE}`,
    "row 1 has 1 field",
  ],
  ["its first line", `bad row:\n  1,2\n${TRACE}`, "bad row:"],
  [
    "the traceback's last line when there is nothing else",
    `\n${TRACE}`,
    "ValueError: no such thing",
  ],
  [
    "the message inside the model server's JSON",
    '{"code": 500, "type": "InternalServerException", "message": "out of memory\\nand more"}',
    "out of memory",
  ],
  ["something where the container said nothing readable", " \n", "the container gave no reason"],
])("names model and endpoint, and says %s", (_what, said, told) => {
  const error = invocationError(modelError(said), call);
  expect(error.message).toBe(`north/v000002.tar.gz on sales-sandbox failed: ${told}`);
});

test("cuts a line that fills the screen, and keeps all of it beside", () => {
  const said = "x".repeat(5000);
  const error = invocationError(modelError(said), call);
  expect(error.message.length).toBeLessThan(400);
  expect(error).toMatchObject({ said });
});

test("keeps the whole answer, its status and the place of the log", () => {
  const said = `row 1 has 1 field\n${TRACE}`;
  const error = invocationError(
    modelError(said, {
      OriginalStatusCode: 400,
      LogStreamArn:
        "arn:aws:logs:eu-central-1:111111111111:log-group:/aws/sagemaker/Endpoints/sales-sandbox",
    }),
    call,
  );
  expect(error).toBeInstanceOf(ModelFailed);
  expect(error).toMatchObject({
    ...call,
    said,
    status: 400,
    logGroup: "/aws/sagemaker/Endpoints/sales-sandbox",
    hint: expect.stringContaining("/aws/sagemaker/Endpoints/sales-sandbox") as string,
  });
});

test("tells SageMaker's own refusals in its words", () => {
  const loading = Object.assign(new Error("not yet"), { name: "ModelNotReadyException" });
  expect(invocationError(loading, call)).toMatchObject({
    message: "endpoint sales-sandbox answered for north/v000002.tar.gz: not yet",
    hint: "the model is still loading: ask again in a minute",
  });
  expect(invocationError(new Error("Endpoint not found"), call)).toMatchObject({
    hint: "modelfleet doctor",
  });
});
