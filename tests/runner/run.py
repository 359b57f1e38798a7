#!/usr/bin/env python3
"""run.py [SUITE... | PROGRAM... | full]: runs the tests that are built; script/test builds them first.

Programs run side by side, one for each core, beside them a few that mostly wait; those that start servers run alone, after the
others. Each program's output is in
build/test-logs/, and is shown where it fails. The last line is `N passed, N failed, N skipped`.
"""
import collections
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import jobs as finder
import outcome as outcomes
import packages
from memory import Memory

LOGS = finder.ROOT / "build" / "test-logs"
SHOWN_LINES = 80
WAITING_PER_CORE = 2
PYTHON_TESTS = pathlib.Path(__file__).with_name("python_tests.py")
print_lock = threading.Lock()
running = set()


def say(text):
    with print_lock:
        print(text, flush=True)


def command_of(job, report, environment):
    command = list(job.command)
    if job.kind == "gtest":
        command += [f"--gtest_output=json:{report}", "--gtest_color=no"]
    elif job.kind == "python":
        python, reason = packages.python_for(job.requirements)
        if reason:
            environment["MILLRACE_TEST_PACKAGES_UNAVAILABLE"] = reason
        command = [python, str(PYTHON_TESTS), *command, str(report)]
    if job.broker and str(finder.BROKER) not in command:
        command = [str(finder.BROKER), "run", "--or-skip", "--", *command]
    return command


def stop(process, how=signal.SIGTERM):
    try:
        os.killpg(process.pid, how)
    except ProcessLookupError:
        pass


def execute(job, command, environment, log):
    """Runs the command in a session of its own, so that what it started ends with it; the exit code, None after the time limit."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, cwd=finder.ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
    running.add(process)
    try:
        return process.wait(job.seconds)
    except subprocess.TimeoutExpired:
        stop(process)
        time.sleep(2)
        return None
    finally:
        stop(process, signal.SIGKILL)
        process.wait()
        running.discard(process)


def run(job):
    name = f"{job.suite}-{job.name.replace('/', '-')}"
    report, log = LOGS / f"{name}.json", LOGS / f"{name}.log"
    report.unlink(missing_ok=True)
    environment = {**os.environ, **job.environment, "PYTHONDONTWRITEBYTECODE": "1",
                   "MILLRACE_TEST_BUILD": str(finder.ROOT / "build" / "release")}
    started = time.monotonic()
    try:
        code = execute(job, command_of(job, report, environment), environment, log)
    except OSError as error:
        return outcomes.Outcome(failed=1, failures=[f"it could not be started: {error}"])
    output = log.read_text(errors="replace")
    if job.kind == "gtest":
        result = outcomes.from_gtest(report, output, code)
    elif job.kind == "python":
        result = outcomes.from_python(report, code)
    else:
        result = outcomes.from_program(output, code, job.skip_code)
    if code is None:
        result.failed += 1
        result.failures.append(f"it did not end within {job.seconds} s")
    result.seconds = time.monotonic() - started
    if result.failed:
        show(log, output)
    return result


def show(log, output):
    lines = output.splitlines()
    cut = [f"... the whole is in {log.relative_to(finder.ROOT)}"] if len(lines) > SHOWN_LINES else []
    say("\n".join(["", *cut, *lines[-SHOWN_LINES:], ""]))


def line(job, result):
    counts = f"{result.passed} passed"
    if result.failed:
        counts += f", {result.failed} FAILED"
    if result.skipped:
        counts += f", {result.skipped} skipped"
    took = "unchanged" if result.remembered else f"{result.seconds:.1f} s"
    return f"{job.suite:12} {job.name:32} {counts:32} {took}"


def finish(job, memory, fresh):
    result = None if fresh else memory.recall(job)
    if result is None:
        result = run(job)
        memory.keep(job, result)
    say(line(job, result))
    return result


def run_all(jobs, memory, fresh):
    results = {}
    cores = os.cpu_count() or 1
    with concurrent.futures.ThreadPoolExecutor(cores) as working, \
            concurrent.futures.ThreadPoolExecutor(cores * WAITING_PER_CORE) as waiting:
        for job in jobs:
            if not job.alone:
                pool = waiting if job.waits else working
                results[id(job)] = pool.submit(finish, job, memory, fresh)
    return [(job, results[id(job)].result() if id(job) in results else finish(job, memory, fresh)) for job in jobs]


def summarise(pairs):
    suites = collections.defaultdict(lambda: outcomes.Outcome())
    reasons = collections.Counter()
    print()
    for job, result in pairs:
        suite = suites[job.suite]
        suite.passed += result.passed
        suite.failed += result.failed
        suite.skipped += result.skipped
        suite.seconds += 0 if result.remembered else result.seconds
        for reason in result.reasons:
            reasons[f"{job.suite}: {reason.partition(': ')[2] or reason}"] += 1
    for name, suite in suites.items():
        print(f"{name:12} {suite.passed:5} passed {suite.failed:5} failed {suite.skipped:5} skipped {suite.seconds:7.1f} s")
    for reason, count in sorted(reasons.items()):
        print(f"skipped {count:3}  {reason}")
    for job, result in pairs:
        for failure in result.failures:
            print(f"FAILED  {job.suite}: {job.name}: {failure}")
    total = [sum(getattr(suite, field) for suite in suites.values()) for field in ("passed", "failed", "skipped")]
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] else 0


def interrupted(number, frame):
    for process in list(running):
        stop(process)
    time.sleep(1)
    for process in list(running):
        stop(process, signal.SIGKILL)
    os._exit(130)


def main():
    asked = sys.argv[1:]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    LOGS.mkdir(parents=True, exist_ok=True)
    return summarise(run_all(finder.find(asked), Memory(), fresh=asked == ["full"]))


if __name__ == "__main__":
    sys.exit(main())
