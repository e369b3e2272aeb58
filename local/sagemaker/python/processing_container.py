"""Plays a processing container: runs the job's entry point, which finds its folders under /opt/ml.

Each process sees its own folder as /opt/ml where the kernel lets an ordinary user have a mount
namespace (Linux, unless an administrator forbids it). Elsewhere nothing can be put at /opt/ml: entry
point, arguments and environment values that name it are given the local folder instead. A script that
takes its folders from its arguments runs alike on AWS and in both cases here.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

OPT = Path("/opt")
OPT_ML = OPT / "ml"
# At the start of a value, or where an argument such as --input=/opt/ml/… or a shell command has it.
NAMED = re.compile(r"""(?<![^\s=:,;"'])/opt/ml(?=/|$)""")

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1


def process(base_dir: str, alone: bool) -> int:
    """Runs the entry point; `alone` says that this process has no other thread and may become it."""
    if alone:
        run(base_dir)
    child = subprocess.Popen([sys.executable, "-u", os.path.abspath(__file__), base_dir])

    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, pass_on)
    code = child.wait()
    return code if code >= 0 else 128 - code


def run(base_dir: str) -> NoReturn:
    """Becomes the entry point of the job that is laid out in `base_dir`."""
    base = Path(base_dir)
    config = json.loads((base / "config/processingjobconfig.json").read_text(encoding="utf-8"))
    specification = config["AppSpecification"]
    command = specification["ContainerEntrypoint"] + specification.get("ContainerArguments", [])
    put_interpreter_on_path(base)
    try:
        show_at_opt_ml(base)
    except OSError as error:
        print(f"/opt/ml cannot be shown here ({error}): values that name it are given {base}", flush=True)
        command = [with_local_paths(each, base) for each in command]
        own = config.get("Environment", {})
        os.environ.update({name: with_local_paths(value, base) for name, value in own.items()})
    os.chdir(base)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what it starts would too.
    sys.stdout.flush()
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127 if isinstance(error, FileNotFoundError) else 126)  # As a shell tells it.


def put_interpreter_on_path(base: Path) -> None:
    """`python3` and `pip` are those of this interpreter, as they are the image's in a container."""
    own = base / ".bin"
    own.mkdir()
    for name in ("pip", "pip3"):  # The environment's own name the folder that it was made in, not where it is.
        script = own / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pip "$@"\n')
        script.chmod(0o755)
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(own), os.path.dirname(sys.executable), before])


def with_local_paths(value: str, base: Path) -> str:
    return NAMED.sub(lambda _match: str(base), value)


def show_at_opt_ml(base: Path) -> None:
    """This process, and those that it starts, see `base` as /opt/ml. Raises OSError where that cannot be."""
    if sys.platform != "linux":
        raise OSError("it takes Linux's mount namespaces")
    libc = ctypes.CDLL(None, use_errno=True)
    enter_mount_namespace(libc)
    # What is mounted from here on is nobody else's business.
    call(libc.mount, b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    if OPT_ML.is_dir():
        bind(libc, base, OPT_ML)
    else:
        bind(libc, opt_with_ml(libc, base), OPT)
    # A change of credentials may have undone it: the process must not outlive its parent.
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def enter_mount_namespace(libc: ctypes.CDLL) -> None:
    """Root may do so at once; others as the owner of a user namespace in which they are themselves."""
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNS) == 0:
        return
    call(libc.unshare, CLONE_NEWUSER | CLONE_NEWNS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def opt_with_ml(libc: ctypes.CDLL, base: Path) -> Path:
    """A folder with all that /opt holds, and `ml` beside it: nobody but root can make one in /opt itself."""
    opt = base / ".opt"
    opt.mkdir()
    for entry in OPT.iterdir():
        copy = opt / entry.name
        if entry.is_symlink():
            copy.symlink_to(os.readlink(entry))
        elif entry.is_dir():
            copy.mkdir()
            bind(libc, entry, copy)
        else:
            copy.touch()
            bind(libc, entry, copy)
    (opt / "ml").mkdir()
    bind(libc, base, opt / "ml")
    return opt


def bind(libc: ctypes.CDLL, source: Path, target: Path) -> None:
    call(libc.mount, os.fsencode(source), os.fsencode(target), None, MS_BIND | MS_REC, None)


def call(function: ctypes._NamedFuncPointer, *arguments: object) -> None:
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    run(sys.argv[1])
