"""A minimal model server with FastAPI and uvicorn: what a team would write that does not use an endpoint.

All models are loaded at start and stay in memory, so nothing is ever cold and nothing is ever evicted. Uses the
very functions that the endpoint's containers run (inference.py).

usage: fastapi_server.py INFERENCE_FOLDER MODELS_FOLDER PORT
"""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn
from fastapi import Body, FastAPI, Response


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    import inference

    models = {
        folder.name: inference.model_fn(str(folder)) for folder in Path(sys.argv[2]).iterdir()
    }
    app = FastAPI()

    @app.get("/ping")
    def ping() -> str:
        return "ok"

    @app.post("/models/{name}/predict")
    def predict(name: str, body: bytes = Body(media_type="text/csv")) -> Response:
        features = inference.input_fn(body.decode(), "text/csv")
        predictions = inference.predict_fn(features, models[name])
        answer, media_type = inference.output_fn(predictions, "text/csv")
        return Response(answer, media_type=media_type)

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), log_level="warning")


if __name__ == "__main__":
    main()
