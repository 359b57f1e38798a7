"""What a test program said: counts, the reasons of what was skipped, and what failed."""
import dataclasses
import json
import re

SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


@dataclasses.dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: list = dataclasses.field(default_factory=list)  # one for each skipped test: "name: why"
    failures: list = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    remembered: bool = False


def gtest_reasons(output):
    """Test name -> why it was skipped, from what GoogleTest printed."""
    reasons, lines, current = {}, output.splitlines(), ""
    for number, line in enumerate(lines):
        if line.startswith("[ RUN      ] "):
            current = line[13:].strip()
        elif line.endswith(": Skipped") and number + 1 < len(lines):
            reasons[current] = lines[number + 1].strip()
    return reasons


def from_gtest(report, output, code):
    """Of a GoogleTest program: its JSON report, or, where it died before writing one, its output."""
    outcome = Outcome()
    reasons = gtest_reasons(output)
    try:
        suites = json.loads(report.read_text())["testsuites"]
    except (OSError, ValueError):
        outcome.passed = len(re.findall(r"^\[       OK \] ", output, re.MULTILINE))
        running = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
        outcome.failed = 1
        outcome.failures.append(f"the program ended with {code} in {running[-1] if running else 'its start'}")
        return outcome
    for test in (test for suite in suites for test in suite["testsuite"]):
        name = f"{test['classname']}.{test['name']}"
        if test.get("failures"):
            outcome.failed += 1
            outcome.failures.append(name)
        elif test["status"] == "NOTRUN" or test["result"] in ("SKIPPED", "SUPPRESSED"):
            outcome.skipped += 1
            outcome.reasons.append(f"{name}: {reasons.get(name, 'disabled')}")
        else:
            outcome.passed += 1
    if code != 0 and not outcome.failed:
        outcome.failed = 1
        outcome.failures.append(f"every test passed, then the program ended with {code}")
    return outcome


def from_python(report, code):
    """Of python_tests.py, which writes its counts; a file without them died."""
    try:
        return Outcome(**json.loads(report.read_text()))
    except (OSError, ValueError):
        return Outcome(failed=1, failures=[f"the program ended with {code} before it could report"])


def from_program(output, code, skip_code):
    """Of any other program: its last `N passed, N failed, N skipped`, else its exit code as one test."""
    last = output.strip().rpartition("\n")[2]
    if skip_code is not None and code == skip_code:
        return Outcome(skipped=1, reasons=[last.removeprefix("skipped: ") or "it gave no reason"])
    counts = SUMMARY.findall(output)
    if counts:
        passed, failed, skipped = map(int, counts[-1])
    else:
        passed, failed, skipped = int(code == 0), 0, 0
    if code != 0 and not failed:
        failed = 1
    failures = [f"it ended with {code}: {last}"] if failed else []
    return Outcome(passed, failed, skipped, ["it gave no reason"] * skipped, failures)
