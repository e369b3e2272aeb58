"""Plays sagemaker-training-toolkit: turns a job's /opt/ml into one run of the user's script.

Same order, environment and failure file as github.com/aws/sagemaker-training-toolkit, with three
differences: the script runs in this process, because that is what makes the parent's preload pay;
the host names of resourceconfig.json need not resolve; and requirements.txt is installed into the
job's own folder, because the interpreter is shared. What needs an interpreter of its own gets one:
packages, shell scripts, and requirements that may differ from what was preloaded.
"""

from __future__ import annotations

import builtins
import json
import os
import shlex
import signal
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

import requirements

PLATFORM_PREFIX = "sagemaker_"
TUNING_METRIC = "_tuning_objective_metric"
# The toolkit's own settings; other sagemaker_* hyperparameters are for a framework container.
TOOLKIT_SETTINGS = {
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "sagemaker_region",
    "sagemaker_default_invocations_accept",
    "sagemaker_s3_output",
    TUNING_METRIC,
}
LOG_LEVEL_INFO = 20
# MPI, parameter servers and the like are for framework containers that bring them along.
NOT_DISTRIBUTED = {
    "distribution_hosts": [],
    "is_modelparallel_enabled": None,
    "is_smddpmprun_installed": False,
    "is_smddprun_installed": False,
    "topology": [],
}


class UserError(Exception):
    """The user's code or requirements failed: the message becomes the failure file."""

    def __init__(self, kind: str, code: int, message: str, command: list[str]) -> None:
        super().__init__(
            f'{kind}:\nExitCode {code}\nErrorMessage "{message}"\nCommand "{shlex.join(command)}"'
        )


def train(base_dir: str, preloaded: bool) -> int:
    """Runs the job laid out under `base_dir`; returns the container's exit code."""
    base = Path(base_dir)
    output = base / "output"
    try:
        environment = training_environment(base)
        os.environ.update(environment.variables)
        keep_to_own_cores(environment.variables["SM_CURRENT_HOST"], environment.hosts)
        run_user_code(environment, base, preloaded)
    except UserError as error:
        return report_failure(output, str(error))
    except Exception as error:
        return report_failure(output, f"Framework Error: \n{traceback.format_exc()}\n{error}")
    (output / "success").write_text("")
    return 0


def keep_to_own_cores(current_host: str, hosts: list[str]) -> None:
    """Each host of a job has its share of the machine's cores, as if it were a machine by itself."""
    if len(hosts) < 2 or not hasattr(os, "sched_setaffinity"):  # macOS has none.
        return
    cores = sorted(os.sched_getaffinity(0))
    place = hosts.index(current_host)
    os.sched_setaffinity(0, cores[place :: len(hosts)] or [cores[place % len(cores)]])


def report_failure(output: Path, message: str) -> int:
    print(message, file=sys.stderr)
    failure = output / "failure"
    if not failure.exists():  # The script may have said it better.
        failure.write_text(message, encoding="utf-8")
    return 1


@dataclass(frozen=True)
class Environment:
    """What the toolkit tells the script: arguments and SM_* variables."""

    entry_point: str
    arguments: list[str]
    variables: dict[str, str]
    hosts: list[str]


def training_environment(base: Path) -> Environment:
    config = base / "input/config"
    hyperparameters = {
        name: decode_hyperparameter(value)
        for name, value in read_json(config / "hyperparameters.json").items()
    }
    platform = {k: v for k, v in hyperparameters.items() if is_platform_setting(k)}
    user = {k: v for k, v in hyperparameters.items() if k not in platform}
    entry_point = os.environ.get("SAGEMAKER_PROGRAM") or platform.get("sagemaker_program")
    if not entry_point:
        raise ValueError("neither hyperparameter sagemaker_program nor SAGEMAKER_PROGRAM is set")

    channels = read_json(config / "inputdataconfig.json")
    channel_dirs = {name: str(base / "input/data" / name) for name in channels}
    resources = read_json(config / "resourceconfig.json")
    facts = {
        **folders(base, platform),
        **cluster(resources),
        "framework_module": os.environ.get("SAGEMAKER_TRAINING_MODULE"),
        "input_data_config": channels,
        "log_level": platform.get("sagemaker_container_log_level", LOG_LEVEL_INFO),
        "module_name": module_name(entry_point),
        "user_entry_point": entry_point,
    }
    framework = {k: v for k, v in platform.items() if k not in TOOLKIT_SETTINGS}
    region = platform.get("sagemaker_region", os.environ.get("AWS_DEFAULT_REGION", ""))
    arguments = command_arguments(user)
    variables = {
        **facts,
        "channels": sorted(channels),
        "framework_params": framework,
        "hps": user,
        "user_args": arguments,
        "training_env": {
            **facts,
            **NOT_DISTRIBUTED,
            "additional_framework_parameters": framework,
            "channel_input_dirs": channel_dirs,
            "hyperparameters": user,
            "is_master": resources["current_host"] == resources["hosts"][0],
            "job_name": os.environ.get("TRAINING_JOB_NAME"),
            "master_hostname": resources["hosts"][0],
        },
        **{f"channel_{name}": path for name, path in channel_dirs.items()},
        **{f"hp_{name}": value for name, value in user.items()},
    }
    return Environment(
        entry_point,
        arguments,
        {
            "SAGEMAKER_BASE_DIR": str(base),
            "SAGEMAKER_JOB_NAME": str(platform.get("sagemaker_job_name", "")),
            "SAGEMAKER_REGION": str(region),
            "CURRENT_HOST": resources["current_host"],
            **{f"SM_{name.upper()}": variable(value) for name, value in variables.items()},
        },
        resources["hosts"],
    )


def folders(base: Path, platform: dict[str, Any]) -> dict[str, str]:
    return {
        "input_config_dir": str(base / "input/config"),
        "input_dir": str(base / "input"),
        "model_dir": str(base / "model"),
        "module_dir": str(platform.get("sagemaker_submit_directory", base / "code")),
        "output_data_dir": str(base / "output/data"),
        "output_dir": str(base / "output"),
        "output_intermediate_dir": str(base / "output/intermediate"),
    }


def cluster(resources: dict[str, Any]) -> dict[str, Any]:
    groups = resources.get("instance_groups", [])
    hosts_of = {group["instance_group_name"]: group["hosts"] for group in groups}
    current = resources.get("current_group_name", "homogeneousCluster")
    return {
        "current_host": resources["current_host"],
        "current_instance_group": current,
        "current_instance_group_hosts": hosts_of.get(current, resources["hosts"]),
        "current_instance_type": resources.get("current_instance_type", "local"),
        "distribution_instance_groups": [],
        "hosts": resources["hosts"],
        "instance_groups": sorted(hosts_of),
        "instance_groups_dict": {group["instance_group_name"]: group for group in groups},
        "is_hetero": len(groups) > 1,
        "network_interface_name": resources.get("network_interface_name", "eth0"),
        # Jobs run side by side, one a core: a job that took every core would slow the others.
        "num_cpus": int(os.environ.get("SM_NUM_CPUS", "1")),
        "num_gpus": 0,
        "num_neurons": 0,
        "resource_config": resources,
    }


def decode_hyperparameter(value: str) -> Any:
    """The Python SDK sends JSON, others plain text: both reach the script as the same value."""
    try:
        return json.loads(value)
    except (ValueError, TypeError):
        return value


def is_platform_setting(name: str) -> bool:
    return name.startswith(PLATFORM_PREFIX) or name == TUNING_METRIC


def command_arguments(hyperparameters: dict[str, Any]) -> list[str]:
    arguments = []
    for name, value in sorted(hyperparameters.items()):
        if isinstance(value, dict):
            value = ",".join(f"{k}={v}" for k, v in sorted(value.items()))
        arguments.append(f"--{name}" if len(name) > 1 else f"-{name}")
        arguments.append("" if value is None else str(value))
    return arguments


def variable(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def module_name(entry_point: str) -> str:
    return entry_point[: -len(".py")] if entry_point.endswith(".py") else entry_point


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def run_user_code(environment: Environment, base: Path, preloaded: bool) -> None:
    code = base / "code"
    is_program = environment.entry_point.endswith(".py") and not requirements.is_package(code)
    if is_program and not (code / environment.entry_point).exists():
        raise UserError(
            "ExecuteUserScriptError",
            2,
            f"can't open file '{code / environment.entry_point}': No such file or directory",
            [sys.executable, environment.entry_point],
        )
    needs_install = requirements.has_requirements(code) or requirements.is_package(code)
    if needs_install:
        install(code, base / "site-packages")
    if is_program and not (preloaded and needs_install):
        run_here(environment, code)
    else:
        run_apart(environment, code, is_program)


def install(code: Path, target: Path) -> None:
    try:
        requirements.install(code, target)
    except requirements.InstallError as error:
        kind = "InstallModuleError" if requirements.is_package(code) else "InstallRequirementsError"
        raise UserError(kind, error.exit_code, error.reason, error.command) from None


def run_here(environment: Environment, code: Path) -> None:
    """Runs the script as `python script.py …` would, without starting an interpreter."""
    sys.argv = [environment.entry_point, *environment.arguments]
    sys.path.insert(0, str(code))
    os.chdir(code)
    command = [sys.executable, *sys.argv]
    sys.stderr = recorder = LastLineRecorder(sys.stderr)
    try:
        run_as_main(code / environment.entry_point)
    except SystemExit as stop:
        exit_code, message = exit_status(stop)
        if message:
            print(message, file=sys.stderr)
        if exit_code != 0:
            reason = message or recorder.last_line
            raise UserError("ExecuteUserScriptError", exit_code, reason, command) from None
    except BaseException as error:
        print_user_traceback(error, code)
        raise UserError("ExecuteUserScriptError", 1, exception_line(error), command) from None
    finally:
        sys.stdout.flush()
        sys.stderr = recorder.stream


def run_as_main(script: Path) -> None:
    """As runpy.run_path, but sys.argv and __main__ stay as `python script.py` makes them."""
    main = ModuleType("__main__")
    main.__file__ = str(script)
    main.__builtins__ = builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    exec(compile(script.read_bytes(), str(script), "exec"), main.__dict__)


class LastLineRecorder:
    """Passes stderr on, keeps its last line: the reason when a script just says `sys.exit(1)`."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.last_line = ""

    def write(self, text: str) -> int:
        lines = [line for line in text.splitlines() if line.strip()]
        if lines:
            self.last_line = lines[-1].strip()
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def exception_line(error: BaseException) -> str:
    """`ValueError: what happened`, as it stands at the end of a traceback."""
    name = type(error).__name__
    lines = traceback.format_exception_only(type(error), error)
    named = [line for line in lines if line.partition(":")[0].strip().endswith(name)]
    return (named or lines)[0].strip().splitlines()[0]


def exit_status(stop: SystemExit) -> tuple[int, str]:
    if stop.code is None:
        return 0, ""
    if isinstance(stop.code, int):
        return stop.code & 0xFF, ""
    return 1, str(stop.code)


def print_user_traceback(error: BaseException, code: Path) -> None:
    """Leaves out the frames of this file: the user did not write them."""
    frame = error.__traceback__
    while frame is not None and not frame.tb_frame.f_code.co_filename.startswith(str(code)):
        frame = frame.tb_next
    traceback.print_exception(type(error), error, frame or error.__traceback__)


def run_apart(environment: Environment, code: Path, is_program: bool) -> None:
    """In an interpreter or shell of its own, its output passed on, its last line the reason."""
    if is_program:
        command = [sys.executable, "-u", environment.entry_point]
    elif requirements.is_package(code):
        command = [sys.executable, "-u", "-m", module_name(environment.entry_point)]
    else:
        command = ["/bin/sh", environment.entry_point]
    command += environment.arguments
    process = subprocess.Popen(
        command,
        cwd=code,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    signal.signal(signal.SIGTERM, lambda _signal, _frame: process.terminate())
    last_line = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last_line = line.strip() or last_line
    exit_code = process.wait()
    if exit_code != 0:
        # A signal's number becomes what a shell would report.
        code_of_shell = exit_code if exit_code > 0 else 128 - exit_code
        raise UserError("ExecuteUserScriptError", code_of_shell, last_line, command)
