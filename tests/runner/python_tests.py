#!/usr/bin/env python3
"""python_tests.py FILE [REPORT]: runs one file of unittest, says each test's outcome, writes the counts as JSON to REPORT.

Where MILLRACE_TEST_PACKAGES_UNAVAILABLE gives a reason, a test that lacks a package is skipped with it, not failed.
"""
import importlib.util
import json
import os
import pathlib
import sys
import time
import traceback
import unittest

UNAVAILABLE = os.environ.get("MILLRACE_TEST_PACKAGES_UNAVAILABLE")


def lacks_package(error):
    return bool(UNAVAILABLE) and issubclass(error, ModuleNotFoundError)


class Report(unittest.TestResult):
    """Prints as it goes. A test with failing subtests counts once."""

    def __init__(self):
        super().__init__()
        self.counts = {"passed": 0, "failed": 0, "skipped": 0, "reasons": [], "failures": []}
        self._failed = set()

    def _say(self, outcome, name, seconds=None):
        print(f"{outcome:8} {name}" + (f" ({seconds:.1f} s)" if seconds is not None else ""), flush=True)

    def _fail(self, test, error):
        traceback.print_exception(*error, file=sys.stdout)
        if test.id() not in self._failed:
            self._failed.add(test.id())
            self.counts["failed"] += 1
            self.counts["failures"].append(test.id())
            self._say("FAILED", test.id())

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()

    def addSuccess(self, test):
        if test.id() not in self._failed:
            self.counts["passed"] += 1
            self._say("ok", test.id(), time.monotonic() - self._started)

    def addSkip(self, test, reason):
        self.skip(test.id(), reason)

    def skip(self, name, reason):
        self.counts["skipped"] += 1
        self.counts["reasons"].append(f"{name}: {reason}")
        self._say("skipped", f"{name}: {reason}")

    def addError(self, test, error):
        if lacks_package(error[0]):
            self.addSkip(test, UNAVAILABLE)
        else:
            self._fail(test, error)

    def addFailure(self, test, error):
        self._fail(test, error)

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self._fail(test, error)

    def addExpectedFailure(self, test, error):
        self.addSuccess(test)

    def addUnexpectedSuccess(self, test):
        self._failed.add(test.id())
        self.counts["failed"] += 1
        self.counts["failures"].append(f"{test.id()}: was expected to fail")


def load(file):
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return unittest.defaultTestLoader.loadTestsFromModule(module)


def main():
    file = pathlib.Path(sys.argv[1]).resolve()
    report = Report()
    try:
        load(file).run(report)
    except unittest.SkipTest as reason:
        report.skip(f"{file.stem} (all of it)", str(reason))
    except ModuleNotFoundError as error:
        if not lacks_package(type(error)):
            raise
        report.skip(f"{file.stem} (all of it)", UNAVAILABLE)
    if len(sys.argv) > 2:
        pathlib.Path(sys.argv[2]).write_text(json.dumps(report.counts))
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**report.counts))
    return 1 if report.counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
