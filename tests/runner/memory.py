"""Remembers what passed: a job whose inputs have not changed since is not run again.

One JSON file in build/; a digest of a file is kept with its size and time, so that unchanged files are not read twice. Only
jobs without a failure are kept, and none that skipped for want of a broker or a package: that may be there the next time.
"""
import dataclasses
import hashlib
import json
import os
import threading

from jobs import ROOT, TESTS
from outcome import Outcome

FILE = ROOT / "build" / "test-memory.json"
# How a program is run is an input of every job.
ALWAYS = [TESTS / "runner"]
VARIABLES = ("MILLRACE_TEST_BROKERS", "MILLRACE_TEST_SEED", "TZ")


class Memory:
    """May be used by several threads."""

    def __init__(self):
        try:
            kept = json.loads(FILE.read_text())
        except (OSError, ValueError):
            kept = {}
        self._jobs = kept.get("jobs", {})
        self._digests = kept.get("digests", {})
        self._lock = threading.Lock()

    def _digest(self, path):
        status = path.stat()
        stamp = [status.st_mtime_ns, status.st_size]
        name = str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
        known = self._digests.get(name)
        if not known or known[0] != stamp:
            with open(path, "rb") as content:
                known = [stamp, hashlib.file_digest(content, "sha256").hexdigest()]
            self._digests[name] = known
        return f"{name} {known[1]}\n"

    def _fingerprint(self, job):
        settings = [*job.command, *map(str, job.environment.items()), *(os.environ.get(name, "") for name in VARIABLES)]
        total = hashlib.sha256("\n".join(settings).encode())
        for place in [*ALWAYS, *job.inputs]:
            files = [place] if place.is_file() else sorted(place.rglob("*"))
            for path in files:
                if path.is_file() and "__pycache__" not in path.parts:
                    total.update(self._digest(path).encode())
        return total.hexdigest()

    def recall(self, job):
        """The outcome of the last run when nothing changed since, else None."""
        with self._lock:
            kept = self._jobs.get(f"{job.suite}/{job.name}")
            if not kept or kept["inputs"] != self._fingerprint(job):
                return None
            return dataclasses.replace(Outcome(**kept["outcome"]), remembered=True)

    def keep(self, job, outcome):
        wanting = outcome.skipped and (job.broker or job.requirements or job.kind == "program")
        with self._lock:
            name = f"{job.suite}/{job.name}"
            if outcome.failed or wanting:
                self._jobs.pop(name, None)
            else:
                self._jobs[name] = {"inputs": self._fingerprint(job), "outcome": dataclasses.asdict(outcome)}
            self._save()

    def _save(self):
        FILE.parent.mkdir(parents=True, exist_ok=True)
        new = FILE.with_suffix(".new")
        new.write_text(json.dumps({"jobs": self._jobs, "digests": self._digests}))
        new.replace(FILE)
