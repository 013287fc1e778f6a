"""How much the proofs do: a little by default, all of it with POSTRIDER_FULL_PROOFS=1."""

import os
import subprocess
import sys
from pathlib import Path

IS_FULL = os.environ.get("POSTRIDER_FULL_PROOFS") == "1"

_TESTS = Path(__file__).parent


def start(
    program: str, *arguments: str, environment: dict[str, str] | None = None
) -> "subprocess.Popen[str]":
    """A program of this folder as a process of its own, with its standard output at hand."""
    path = os.pathsep.join([str(_TESTS.parent / "src"), *sys.path])
    return subprocess.Popen(
        [sys.executable, str(_TESTS / program), *arguments],
        env=os.environ | {"PYTHONPATH": path} | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
