"""Answers requests with the sagemaker-inference toolkit as it is published, less its model server.

    python serve.py MODEL_DIR REQUESTS ANSWERS

SageMaker's XGBoost and scikit-learn containers serve many models by multi-model-server, a Java program whose workers
call the container's HandlerService: this toolkit's DefaultHandlerService, with defaults of the container's own for
functions that the user's module lacks (handler_service.py of sagemaker-xgboost-container and of
sagemaker-scikit-learn-container). The modules here have all four, so those defaults decide nothing and are left out.
Theirs, unchanged: finding the module, model_fn, decoding the body, choosing the answer's type, input_fn, predict_fn,
output_fn, errors. Played here: the worker's side of a call, which is a folder, headers and a body in bytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sagemaker_inference.default_handler_service import DefaultHandlerService


class Context:
    """What the handler service asks of multi-model-server's context."""

    def __init__(self, model_dir: str, headers: dict[str, str]) -> None:
        self.system_properties = {"model_dir": model_dir}
        self.request_processor = [self]
        self.headers = headers
        self.content_type = ""
        self.status = 200

    def get_request_properties(self) -> dict[str, str]:
        return self.headers

    def set_response_content_type(self, _index: int, value: str) -> None:
        self.content_type = value

    def set_response_status(self, code: int, phrase: str) -> None:
        self.status = int(code)


def main() -> None:
    model_dir, requests, answers = sys.argv[1:]
    service = DefaultHandlerService()
    service.initialize(Context(model_dir, {}))
    told = [answer(service, model_dir, one) for one in json.loads(Path(requests).read_text())]
    Path(answers).write_text(json.dumps(told))


def answer(service: DefaultHandlerService, model_dir: str, request: dict) -> dict:
    headers = {"Content-Type": request["contentType"], "Accept": request["accept"]}
    context = Context(model_dir, headers)
    body = bytearray(request["body"], "utf-8")
    (said,) = service.handle([{"body": body}], context)
    text = said if isinstance(said, str) else bytes(said).decode("utf-8")
    return {"status": context.status, "contentType": context.content_type, "body": text}


if __name__ == "__main__":
    main()
