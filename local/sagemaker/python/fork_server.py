"""Starts a process per container in milliseconds: a preloaded parent forks, and passes on output.

Imports of numpy, pandas and xgboost cost half a second; a fork of a process that has them costs a
few milliseconds. The parent speaks newline-delimited JSON. Commands, on stdin:

  {"start": 1, "role": "train" | "process" | "serve", "baseDir": "...", "socketPath": "...", "env": {...}}
  {"kill": 1, "signal": "SIGINT" | "SIGTERM" | "SIGKILL"}

Events, on stdout; `exited` is always the last of a container:

  {"event": "ready", "pid": 10, "mode": "fork" | "spawn", "notes": [...]}
  {"event": "started", "container": 1, "pid": 11}
  {"event": "output", "container": 1, "text": "..."}       stdout and stderr, in the order written
  {"event": "exited", "container": 1, "code": 0, "signal": null}

When stdin closes (the Node process is gone) every container is killed and the parent exits.
`--mode spawn` starts a plain interpreter for each container instead: for platforms where forking a
process that holds native libraries is not safe (macOS), and for a parent that turns out to hold
more than one thread.
"""

from __future__ import annotations

import argparse
import codecs
import gc
import importlib
import json
import os
import selectors
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from container_process import become_container

READ_BYTES = 65_536
# A process that left the container's group can hold its output open after the container ended.
DRAIN_SECONDS = 1.0


@dataclass
class Container:
    """A running container: `pid` is also its process group."""

    number: int
    pid: int
    output: int
    decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    status: int | None = None
    drained: bool = False
    report_by: float | None = None


class ForkServer:
    """The parent's event loop. One thread only: that is what makes its forks safe."""

    def __init__(self, mode: str, events: int) -> None:
        self.mode = mode
        self.events = events
        self.containers: dict[int, Container] = {}
        self.selector = selectors.DefaultSelector()
        # Only this process holds the write end. A spawned container sees its end when we are gone.
        self.lifeline_read, self.lifeline_write = os.pipe()
        self.wakeup_read, self.wakeup_write = os.pipe()
        for fd in (self.wakeup_read, self.wakeup_write):
            os.set_blocking(fd, False)

    def run(self, notes: list[str]) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the Node process to handle.
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        signal.set_wakeup_fd(self.wakeup_write, warn_on_full_buffer=False)
        self.selector.register(0, selectors.EVENT_READ, "commands")
        self.selector.register(self.wakeup_read, selectors.EVENT_READ, "wakeup")
        self.send({"event": "ready", "pid": os.getpid(), "mode": self.mode, "notes": notes})
        pending = b""
        while True:
            for key, _ in self.selector.select(self.seconds_to_next_report()):
                if key.data == "wakeup":
                    os.read(self.wakeup_read, READ_BYTES)
                elif key.data == "commands":
                    chunk = os.read(0, READ_BYTES)
                    if chunk == b"":
                        return
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        self.obey(json.loads(line))
                else:
                    self.forward(key.data)
            self.reap()
            self.report_ended()

    def obey(self, command: dict[str, Any]) -> None:
        if "start" in command:
            self.start(command)
            return
        for container in self.containers.values():
            if container.number == command["kill"] and container.status is None:
                # As Docker does: to the main process only. The others follow when it is gone.
                os.kill(container.pid, signal.Signals[command["signal"]])

    def start(self, command: dict[str, Any]) -> None:
        read, write = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            become_container(command, self.mode, write, self.lifeline_read, parent)
        os.close(write)
        container = Container(command["start"], pid, read)
        self.containers[pid] = container
        self.selector.register(read, selectors.EVENT_READ, container)
        self.send({"event": "started", "container": container.number, "pid": pid})

    def forward(self, container: Container) -> None:
        chunk = os.read(container.output, READ_BYTES)
        text = container.decoder.decode(chunk, final=chunk == b"")
        if text:
            self.send({"event": "output", "container": container.number, "text": text})
        if chunk == b"":
            self.close_output(container)

    def close_output(self, container: Container) -> None:
        if not container.drained:
            container.drained = True
            self.selector.unregister(container.output)
            os.close(container.output)

    def reap(self) -> None:
        while self.containers:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            container = self.containers[pid]
            container.status = status
            container.report_by = time.monotonic() + DRAIN_SECONDS
            kill_group(
                pid
            )  # The main process is gone: in a container, so is everything it started.

    def report_ended(self) -> None:
        now = time.monotonic()
        for container in list(self.containers.values()):
            if container.status is None or container.report_by is None:
                continue
            if not container.drained and now < container.report_by:
                continue
            self.close_output(container)
            del self.containers[container.pid]
            code = os.waitstatus_to_exitcode(container.status)
            self.send(
                {
                    "event": "exited",
                    "container": container.number,
                    "code": code if code >= 0 else None,
                    "signal": signal.Signals(-code).name if code < 0 else None,
                }
            )

    def seconds_to_next_report(self) -> float | None:
        deadlines = [c.report_by for c in self.containers.values() if c.report_by is not None]
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def send(self, event: dict[str, Any]) -> None:
        rest = memoryview(json.dumps(event).encode() + b"\n")
        while rest:
            rest = rest[os.write(self.events, rest) :]

    def kill_all(self) -> None:
        for container in self.containers.values():
            if container.status is None:
                os.kill(container.pid, signal.SIGKILL)
                kill_group(container.pid)


def kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def preload(modules: list[str]) -> list[str]:
    """Imports what containers will want. A module that is not there is told."""
    notes = []
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:
            notes.append(f"{name} was not preloaded: {error}")
    gc.collect()
    gc.freeze()  # Keeps the collector from touching, and so copying, what the forks share.
    return notes


def thread_count() -> int:
    """Native threads too: OpenBLAS starts some at import unless its environment says one."""
    try:
        return len(os.listdir("/proc/self/task"))
    except FileNotFoundError:
        return threading.active_count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", choices=["fork", "spawn"], default="fork")
    parser.add_argument("--preload", default="", help="comma-separated module names")
    args = parser.parse_args()

    # Events get a descriptor of their own, so that nothing printed by an import can mix with them.
    events = os.dup(1)
    os.dup2(2, 1)
    mode, notes = args.mode, []
    if mode == "fork":
        notes = preload([name for name in args.preload.split(",") if name])
        if thread_count() > 1:
            mode = "spawn"
            notes.append("spawning instead of forking: a preloaded module started threads")
    server = ForkServer(mode, events)
    try:
        server.run(notes)
    except BrokenPipeError:
        pass  # The Node process is gone.
    finally:
        server.kill_all()


if __name__ == "__main__":
    main()
