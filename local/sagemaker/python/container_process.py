"""What happens in a new process between its birth and the code it is there to run.

`become_container` is called in a fork of the preloaded parent. Run as a program, this file is the
same in a plain interpreter: `python container_process.py ROLE BASE_DIR SOCKET_PATH`.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import random
import signal
import sys
import threading
import traceback
from typing import Any, Callable, NoReturn

import model_server
import processing_container
import training_toolkit

LIFELINE_FD = 3
MAX_FD = 65_536


def become_container(
    command: dict[str, Any], mode: str, output: int, lifeline: int, parent: int
) -> NoReturn:
    """In the new process: forget the parent, take up the container's role, never return."""
    code = 1
    try:
        os.setsid()
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if mode == "spawn":
            exec_container(command, lifeline)
        os.closerange(3, MAX_FD)
        die_with(parent)
        os.environ.update(command["env"])
        renew_interpreter()
        code = play(
            command["role"], command["baseDir"], command.get("socketPath", ""), preloaded=True
        )
    except BaseException:  # Nothing may unwind into the parent's loop.
        traceback.print_exc()
    finally:
        finish(code)


def exec_container(command: dict[str, Any], lifeline: int) -> NoReturn:
    os.dup2(lifeline, LIFELINE_FD, inheritable=True)
    os.closerange(LIFELINE_FD + 1, MAX_FD)
    arguments = [command["role"], command["baseDir"], command.get("socketPath", "")]
    os.execve(
        sys.executable,
        [sys.executable, "-u", os.path.abspath(__file__), *arguments],
        {**os.environ, **command["env"]},
    )


def die_with(parent: int) -> None:
    """Linux: the kernel kills this process when its parent goes."""
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # It went before we asked.
        os._exit(1)


def die_with_lifeline() -> None:
    """Elsewhere: end of file on the lifeline says that the parent is gone."""

    def watch() -> None:
        os.read(LIFELINE_FD, 1)
        os.killpg(0, signal.SIGKILL)

    os.set_inheritable(LIFELINE_FD, False)
    threading.Thread(target=watch, daemon=True, name="lifeline").start()


def renew_interpreter() -> None:
    """Gives the fork what a fresh interpreter would have: its own streams and randomness."""
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def play(role: str, base_dir: str, socket_path: str, preloaded: bool) -> int:
    hide_own_modules()
    if role == "train":
        return training_toolkit.train(base_dir, preloaded)
    if role == "process":
        return processing_container.process(base_dir, preloaded)
    return model_server.serve(base_dir, socket_path)


def hide_own_modules() -> None:
    """So that a user's `requirements.py` is what their import finds, and not ours."""
    own_folder = os.path.dirname(os.path.abspath(__file__))
    sys.path = [path for path in sys.path if os.path.abspath(path) != own_folder]
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name != "__main__" and path and os.path.dirname(os.path.abspath(path)) == own_folder:
            del sys.modules[name]


def finish(code: int) -> NoReturn:
    """Ends as an interpreter does: threads joined, exit handlers run, output flushed."""
    steps: list[Callable[[], object]] = [
        threading._shutdown,
        atexit._run_exitfuncs,
        sys.stdout.flush,
        sys.stderr.flush,
    ]
    for step in steps:
        try:
            step()
        except BaseException:
            code = code or 1
    os._exit(code)


def main() -> None:
    role, base_dir, socket_path = sys.argv[1:]
    die_with_lifeline()
    finish(play(role, base_dir, socket_path, preloaded=False))


if __name__ == "__main__":
    main()
