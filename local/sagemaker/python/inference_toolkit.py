"""Plays sagemaker-inference-toolkit: calls the user's model_fn, input_fn, predict_fn, output_fn.

Same rules as github.com/aws/sagemaker-inference-toolkit: model_fn is required; predict_fn too
unless there is a transform_fn, which excludes the other three; each may take a trailing context;
textual content arrives as str; an exception is a 500 unless it carries a status_code of its own.
"""

from __future__ import annotations

import importlib.util
import inspect
import io
import json
import os
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import numpy as np

TEXT_TYPES = {"application/json", "text/csv"}
DEFAULT_PROGRAM = "inference.py"
# Flask's type for a text of which nobody says what it is: SageMaker's XGBoost and scikit-learn
# containers serve a single model by it (sagemaker-containers), and many by multi-model-server.
FLASK_TEXT = "text/html; charset=utf-8"
NO_CODE = (
    "the container has no inference code: set SAGEMAKER_PROGRAM and SAGEMAKER_SUBMIT_DIRECTORY in "
    "its Environment (SageMaker's built-in algorithm mode is not available here)"
)


@dataclass
class Context:
    """The part of multi-model-server's context that handlers commonly use."""

    model_dir: str
    request_headers: dict[str, str] = field(default_factory=dict)
    response_headers: dict[str, str] = field(default_factory=dict)

    @property
    def system_properties(self) -> dict[str, str]:
        return {"model_dir": self.model_dir}

    def get_request_header(self, _index: int, name: str) -> str | None:
        return self.request_headers.get(name.lower())

    def set_response_header(self, _index: int, name: str, value: str) -> None:
        self.response_headers[name] = value


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Handler:
    """The user's functions, or the toolkit's defaults for those that are missing."""

    def __init__(self, module: ModuleType, many_models: bool) -> None:
        own = {
            name: getattr(module, name, None)
            for name in ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn")
        }
        if own["model_fn"] is None:
            raise NotImplementedError(f"{module.__name__} has no model_fn: please provide one")
        if own["transform_fn"] and (own["input_fn"] or own["predict_fn"] or own["output_fn"]):
            raise ValueError(
                "Cannot use transform_fn implementation in conjunction with "
                "input_fn, predict_fn, and/or output_fn implementation"
            )
        # What a text of the user's own function is sent as, unless it says; None: as it was asked for.
        own_text = own["output_fn"] or own["transform_fn"]
        self.text_type = FLASK_TEXT if own_text and not many_models else None
        self.model_fn = with_context(own["model_fn"], 1)
        self.input_fn = with_context(own["input_fn"] or decode, 2)
        self.predict_fn = with_context(own["predict_fn"] or no_predict_fn, 2)
        self.output_fn = with_context(own["output_fn"] or encode, 2)
        transform_fn = own["transform_fn"]
        self.transform_fn = with_context(transform_fn, 4) if transform_fn else self.chain

    def load(self, model_dir: str) -> Any:
        return self.model_fn(model_dir, context=Context(model_dir))

    def chain(
        self, model: Any, body: str | bytes, content_type: str, accept: str, context: Context
    ) -> Any:
        prepared = self.input_fn(body, content_type, context=context)
        prediction = self.predict_fn(prepared, model, context=context)
        return self.output_fn(prediction, accept, context=context)

    def answer(self, model: Any, body: bytes, context: Context) -> Answer:
        headers = context.request_headers
        content_type = headers.get("content-type", "application/json")
        accept = headers.get("accept", "")
        if accept in ("", "*/*"):
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json")
        try:
            is_text = content_type.split(";")[0].strip().lower() in TEXT_TYPES
            received = body.decode("utf-8") if is_text else body
            result = self.transform_fn(model, received, content_type, accept, context=context)
            if isinstance(result, tuple):
                result, sent_type = result
            else:
                sent_type = self.text_type or accept
            sent = result.encode("utf-8") if isinstance(result, str) else bytes(result)
            return Answer(200, sent_type, sent, context.response_headers)
        except Exception as error:
            return failure(error)


def failure(error: Exception) -> Answer:
    """As the toolkit: the message and the trace; an error of its own kind brings its status."""
    trace = traceback.format_exc()
    status = getattr(error, "status_code", 500)
    message = str(getattr(error, "message", error))
    print(trace, file=sys.stderr, end="", flush=True)
    return Answer(int(status), "text/plain", f"{message}\n{trace}".encode())


def with_context(function: Callable[..., Any], arguments: int) -> Callable[..., Any]:
    """Handlers may take a trailing context. Looked up once: a signature is slow to read."""
    count = len(inspect.signature(function).parameters)
    if count == arguments + 1:
        return lambda *given, context: function(*given, context)
    if count == arguments:
        return lambda *given, context: function(*given)
    raise TypeError(f"{function.__name__} takes {count} arguments but {arguments} were given.")


def load_handler(code_dir: Path, many_models: bool) -> Handler:
    """Imports the user's program from the folder that the model server was given."""
    program = os.environ.get("SAGEMAKER_PROGRAM", DEFAULT_PROGRAM)
    path = code_dir / program
    if not path.exists():
        raise FileNotFoundError(f"{NO_CODE}; there is no {program} in {code_dir}")
    sys.path.insert(0, str(code_dir))
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return Handler(module, many_models)


def no_predict_fn(_prepared: Any, _model: Any) -> Any:
    raise NotImplementedError("Please provide a predict_fn implementation.")


def decode(body: str | bytes, content_type: str) -> Any:
    kind = content_type.split(";")[0].strip().lower()
    if kind == "application/json":
        return np.array(json.loads(body))
    if kind == "text/csv":
        text = body.decode("utf-8") if isinstance(body, bytes) else body
        return np.genfromtxt(io.StringIO(text), delimiter=",")
    if kind == "application/x-npy" and isinstance(body, bytes):
        return np.load(io.BytesIO(body), allow_pickle=False)
    raise ValueError(f"Content type {content_type} is not supported by this framework.")


def encode(prediction: Any, accept: str) -> str | bytes:
    kind = accept.split(";")[0].strip().lower()
    if kind == "application/json":
        return json.dumps(prediction, default=lambda value: value.tolist())
    if kind == "text/csv":
        stream = io.StringIO()
        np.savetxt(stream, prediction, delimiter=",", fmt="%s")
        return stream.getvalue()
    if kind == "application/x-npy":
        buffer = io.BytesIO()
        np.save(buffer, prediction)
        return buffer.getvalue()
    raise ValueError(f"Content type {accept} is not supported by this framework.")
