"""Python packages for tests: one virtual environment under build/ for each list of requirements, made once.

Where the packages cannot be had, the tests run with the system's Python and skip what lacks one, with the reason given here.
"""
import hashlib
import pathlib
import shutil
import subprocess
import sys
import threading

from jobs import ROOT

SECONDS = 300
_lock = threading.Lock()
_reasons = {}  # asked once in a run: an unreachable index takes its time


def python_for(requirements):
    """(the Python to use, why packages are missing or None) for a requirements.txt, or None where the test has none."""
    if requirements is None:
        return sys.executable, None
    name = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = ROOT / "build" / "venv" / name
    with _lock:
        if not (folder / "complete").exists() and name not in _reasons:
            _reasons[name] = make(folder, requirements)
        reason = _reasons.get(name)
    return (sys.executable, reason) if reason else (str(folder / "bin" / "python"), None)


def make(folder, requirements):
    """None when the environment is complete, else why not."""
    shutil.rmtree(folder, ignore_errors=True)
    steps = [
        [sys.executable, "-m", "venv", "--system-site-packages", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", str(requirements)],
    ]
    for step in steps:
        try:
            done = subprocess.run(step, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"the packages of {requirements.relative_to(ROOT)} cannot be installed: {error}"
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            return f"the packages of {requirements.relative_to(ROOT)} cannot be installed: {said[-1]}"
    pathlib.Path(folder / "complete").touch()
    return None
