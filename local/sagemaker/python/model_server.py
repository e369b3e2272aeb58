"""The HTTP side of a serving container, on a unix socket: one model, or many that come and go.

One model: GET /ping, POST /invocations. Many (SAGEMAKER_MULTI_MODEL=true): the API that SageMaker
asks for, https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html.
The platform (endpoint-fleet.ts) brings artifacts and code to the disk; nothing here touches S3.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import socket
import socketserver
import sys
import threading
from ctypes import CDLL
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import requirements
from inference_toolkit import NO_CODE, Answer, Context, Handler, load_handler

MODELS_PER_PAGE = 100  # As multi-model-server pages them.
LONGEST_LINE = 65_536
REASONS = {status.value: status.phrase for status in HTTPStatus}
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def serve(base_dir: str, socket_path: str) -> int:
    """Serves until it is killed. Code or a model that cannot be loaded ends it with a traceback."""
    base = Path(base_dir)
    routes: Routes
    if os.environ.get("SAGEMAKER_MULTI_MODEL") == "true":
        routes = MultiModelRoutes(prepare_handler(base, base / "code", many_models=True))
    else:
        model = base / "model"
        code = base / "code" if (base / "code").exists() else model / "code"
        handler = prepare_handler(base, code, many_models=False)
        routes = SingleModelRoutes(handler, str(model))
    with UnixHttpServer(socket_path, routes) as server:
        server.serve_forever()
    return 0


def prepare_handler(base: Path, code: Path, many_models: bool) -> Handler:
    if not code.exists():
        raise FileNotFoundError(NO_CODE)
    if requirements.has_requirements(code) or requirements.is_package(code):
        requirements.install(code, base / "site-packages")
    return load_handler(code, many_models)


def as_json(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, "application/json", json.dumps(body).encode())


def mms_error(status: int, kind: str, message: str) -> Answer:
    return as_json(status, {"code": status, "type": kind, "message": message})


class Routes:
    """Answers requests; a subclass knows the paths."""

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        raise NotImplementedError


class SingleModelRoutes(Routes):
    """The model is loaded before the server accepts its first ping."""

    def __init__(self, handler: Handler, model_dir: str) -> None:
        self.handler = handler
        self.model_dir = model_dir
        self.model = handler.load(model_dir)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        if (method, target) == ("GET", "/ping"):
            return Answer(200, "application/json", b"")
        if (method, target) == ("GET", "/execution-parameters"):
            return as_json(200, execution_parameters())
        if (method, target) == ("POST", "/invocations"):
            return self.handler.answer(self.model, body, Context(self.model_dir, headers))
        return mms_error(404, "ResourceNotFoundException", f"no route for {method} {target}")


def execution_parameters() -> dict[str, Any]:
    """What batch transform goes by unless the job says otherwise; as SageMaker's framework containers."""
    workers = int(os.environ.get("SAGEMAKER_MODEL_SERVER_WORKERS", "1"))
    return {
        "MaxConcurrentTransforms": workers,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


class MultiModelRoutes(Routes):
    """Models by name. A name is an opaque id of the platform, not a customer's or a file's."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.lock = threading.Lock()
        self.models: dict[str, tuple[str, Any]] = {}
        self.loading: set[str] = set()
        self.loads_begun = 0

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        parts = urlsplit(target)
        match [method, *(unquote(part) for part in parts.path.strip("/").split("/"))]:
            case ["GET", "ping"]:
                return Answer(200, "application/json", b"")
            case ["POST", "models", name, "invoke"]:
                return self.invoke(name, headers, body)
            case ["GET", "models"]:
                return self.list(parse_qs(parts.query).get("next_page_token", ["0"])[0])
            case ["POST", "models"]:
                request = json.loads(body)
                return self.load(request["model_name"], request["url"])
            case ["GET", "models", name]:
                return self.describe(name)
            case ["DELETE", "models", name]:
                return self.unload(name)
        return mms_error(404, "ResourceNotFoundException", f"no route for {method} {target}")

    def invoke(self, name: str, headers: dict[str, str], body: bytes) -> Answer:
        loaded = self.models.get(name)
        if loaded is None:
            return not_found(name)
        url, model = loaded
        return self.handler.answer(model, body, Context(url, headers))

    def list(self, page_token: str) -> Answer:
        start = int(page_token) if page_token.isdigit() else 0
        with self.lock:
            models = [
                {"modelName": name, "modelUrl": url} for name, (url, _) in self.models.items()
            ]
        page: dict[str, Any] = {"models": models[start : start + MODELS_PER_PAGE]}
        if len(models) > start + MODELS_PER_PAGE:
            page["nextPageToken"] = str(start + MODELS_PER_PAGE)
        return as_json(200, page)

    def describe(self, name: str) -> Answer:
        loaded = self.models.get(name)
        return not_found(name) if loaded is None else as_json(200, described(name, loaded[0]))

    def load(self, name: str, url: str) -> Answer:
        with self.lock:
            if name in self.models or name in self.loading:
                return mms_error(409, "ConflictModelException", f"Model {name} is already loaded.")
            self.loading.add(name)
            self.loads_begun += 1
            begun, alone = self.loads_begun, len(self.loading) == 1
        before = resident_bytes()
        try:
            model = self.handler.load(url)
        except Exception as error:
            if isinstance(error, MemoryError) or getattr(error, "errno", 0) == errno.ENOMEM:
                return mms_error(507, "InsufficientMemoryException", f"no memory for {name}")
            print_exception(error)
            return mms_error(500, "ModelLoadException", f"{type(error).__name__}: {error}")
        else:
            with self.lock:
                self.models[name] = (url, model)
                alone = alone and self.loads_begun == begun
            # Of use to the platform only when no other load grew the process at the same time.
            grown = max(0, resident_bytes() - before) if alone else None
            return as_json(200, {"status": f"Model {name} loaded", "residentBytes": grown})
        finally:
            with self.lock:
                self.loading.discard(name)

    def unload(self, name: str) -> Answer:
        with self.lock:
            loaded = self.models.pop(name, None)
        if loaded is None:
            return not_found(name)
        del loaded
        give_memory_back()
        return as_json(200, {"status": f'Model "{name}" unregistered'})


def described(name: str, url: str) -> dict[str, Any]:
    return {"modelName": name, "modelUrl": url}


def not_found(name: str) -> Answer:
    return mms_error(404, "ModelNotFoundException", f"Model not found: {name}")


def print_exception(error: Exception) -> None:
    sys.excepthook(type(error), error, error.__traceback__)
    sys.stderr.flush()


def resident_bytes() -> int:
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * PAGE_BYTES
    except FileNotFoundError:  # Not Linux: the platform goes by the artifact's size.
        return 0


def give_memory_back() -> None:
    """DELETE promises that memory is free on return; glibc keeps freed pages unless asked."""
    gc.collect()
    trim = getattr(CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class UnixHttpServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread per connection: the platform keeps a bounded number of connections alive."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, socket_path: str, routes: Routes) -> None:
        self.routes = routes
        super().__init__(socket_path, HttpHandler)


class HttpHandler(socketserver.StreamRequestHandler):
    """HTTP/1.1 with keep-alive, no more of it than the platform's client speaks.

    http.server would do, but parses headers as e-mail: it halves the requests a core can answer.
    """

    server: UnixHttpServer
    connection: socket.socket

    def handle(self) -> None:
        try:
            while self.handle_one():
                pass
        except ConnectionError:
            pass  # The client went away; it knows why.

    def handle_one(self) -> bool:
        request_line = self.rfile.readline(LONGEST_LINE)
        if request_line in (b"", b"\r\n"):
            return False
        method, target, _version = request_line.decode("latin-1").split()
        headers = {}
        while (line := self.rfile.readline(LONGEST_LINE)) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        try:
            answer = self.server.routes.answer(method, target, headers, body)
        except Exception as error:
            print_exception(error)
            answer = mms_error(500, "InternalServerException", f"{type(error).__name__}: {error}")
        lines = [
            f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Error')}",
            f"Content-Type: {answer.content_type}",
            f"Content-Length: {len(answer.body)}",
            *(f"{name}: {value}" for name, value in answer.headers.items()),
        ]
        head = "\r\n".join(one_line(line) for line in lines) + "\r\n\r\n"
        self.connection.sendall(head.encode("latin-1", "replace") + answer.body)
        return headers.get("connection", "").lower() != "close"


def one_line(text: str) -> str:
    """A header's value that the user's code chose must not become two headers."""
    return text.replace("\r", " ").replace("\n", " ")
