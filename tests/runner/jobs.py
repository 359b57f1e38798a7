"""Finds the test programs: what CMake registered with add_test, and the Python tests beside them.

A job is one program with one suite. CMake's names begin with what they are (plugin_hello belongs to plugins); a name that says
nothing known goes to the suite `other`, so that nothing is left out. Python's are tests/KIND/**/test_*.py.
"""
import dataclasses
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
BROKER = TESTS / "integration" / "kafka" / "broker"
FUZZ = TESTS / "fuzz" / "run"
SUITES = ["floors", "unit", "plugins", "conformance", "simulation", "fuzz", "asan", "e2e", "kill", "ubsan", "tsan", "libfuzzer"]
SUITE_OF_PREFIX = {"unit": "unit", "plugin": "plugins", "out": "plugins", "differential": "plugins", "conformance": "conformance",
                   "simulation": "simulation", "integration": "conformance", "fuzz": "fuzz"}
SUITE_OF_KIND = {"integration": "e2e"}
NOT_TESTS = {"runner", "support"}
SANITISED = ("unit_core", "unit_events", "unit_transport", "unit_engine", "conformance_embedded", "fuzz_envelope")
ALONE = {"e2e", "kill"}
# What `full` asks of a suite: more rounds, and the hours that they take.
FULL_ENVIRONMENT = {"kill": {"MILLRACE_KILL_ROUNDS": "50", "MILLRACE_KILL_EVENTS": "20000", "MILLRACE_CHURN_SECONDS": "90"},
                    "simulation": {"MILLRACE_SIMULATION_SEEDS": "20000"}}
FULL_SECONDS = {"kill": 4 * 3600, "simulation": 1800}
SECONDS = {"gtest": 600, "program": 600, "python": 900}
# A sanitised program is so much slower, and the machine is shared.
SLOWER = {"release": 1, "asan": 3, "ubsan": 3, "tsan": 6}


@dataclasses.dataclass
class Job:
    suite: str
    name: str
    kind: str  # gtest, program (an exit code, 77 for skipped) or python (a file of unittest)
    command: list
    inputs: list  # files and folders: while these are the same, so is the outcome
    seconds: int
    alone: bool = False  # starts servers of its own and measures time: nothing else runs beside it
    waits: bool = False  # a shard: mostly waits for timers
    broker: bool = False
    environment: dict = dataclasses.field(default_factory=dict)
    requirements: pathlib.Path | None = None
    skip_code: int | None = None


def registered(preset):
    """What ctest knows about the preset's build; nothing where it is not built."""
    folder = ROOT / "build" / preset
    if not (folder / "CTestTestfile.cmake").exists():
        return []
    answer = subprocess.run(["ctest", "--test-dir", str(folder), "--show-only=json-v1"], capture_output=True, text=True, check=True)
    return [test for test in json.loads(answer.stdout)["tests"] if test.get("command")]


def properties(test):
    return {each["name"]: each["value"] for each in test.get("properties", [])}


def from_ctest(preset, suite=None, only=None, full=False):
    modules = sorted((ROOT / "build" / preset).rglob("*.so"))
    jobs = []
    for test in registered(preset):
        name, command = test["name"], test["command"]
        variables = dict(each.partition("=")[::2] for each in properties(test).get("ENVIRONMENT", []))
        if only and name not in only:
            continue
        # With or without a launcher before it and a shard's number behind its name.
        kind = "gtest" if name.startswith(pathlib.Path(command[-1]).name) else "program"
        of = suite or SUITE_OF_PREFIX.get(name.partition("_")[0], "other")
        variables = {**variables, **(FULL_ENVIRONMENT.get(of, {}) if full else {})}
        paths = [pathlib.Path(part) for part in command]
        files = [path for path in paths if path.is_file() or (path.is_dir() and path.is_relative_to(TESTS))]
        jobs.append(Job(
            suite=of, name=name, kind=kind, command=command,
            inputs=[*files, *modules, ROOT / "schemas", ROOT / "config"],
            seconds=FULL_SECONDS.get(of, SECONDS[kind]) if full else SECONDS[kind] * SLOWER[preset],
            waits="GTEST_TOTAL_SHARDS" in variables, broker=str(BROKER) in command, environment=variables,
            skip_code=properties(test).get("SKIP_RETURN_CODE")))
    return jobs


def searches():
    """libFuzzer over each fuzz target; how long is for the script to say."""
    names = [test["name"].removeprefix("fuzz_") for test in registered("release") if test["name"].startswith("fuzz_")]
    return [Job(suite="libfuzzer", name=name, kind="program", command=[str(FUZZ), name], inputs=[], seconds=SECONDS["program"], skip_code=77)
            for name in names]


def requirements_of(file):
    for folder in file.parents:
        if (folder / "requirements.txt").exists():
            return folder / "requirements.txt"
        if folder == TESTS:
            return None
    return None


def server_files():
    release = ROOT / "build" / "release"
    modules = [file for folder in ("plugins", "kill", "test_plugins") for file in sorted((release / folder).glob("*.so"))]
    return [release / "millrace", *modules, ROOT / "README.md", ROOT / "docs", ROOT / "config", ROOT / "schemas",
            ROOT / "script", TESTS / "support", TESTS / "integration"]


def from_python(full):
    jobs = []
    for file in sorted(TESTS.rglob("test_*.py")):
        kind = file.relative_to(TESTS).parts[0]
        if kind in NOT_TESTS:
            continue
        suite = SUITE_OF_KIND.get(kind, kind)
        sources = [*server_files(), *([ROOT / "server", ROOT / "plugins"] if suite == "floors" else [])]
        jobs.append(Job(
            suite=suite, name=str(file.relative_to(TESTS).with_suffix("")), kind="python", command=[str(file)],
            inputs=[TESTS / kind, *sources], seconds=FULL_SECONDS.get(suite, SECONDS["python"]) if full else SECONDS["python"], alone=suite in ALONE,
            environment=FULL_ENVIRONMENT.get(suite, {}) if full else {},
            broker="MILLRACE_TEST_BROKERS" in file.read_text(), requirements=requirements_of(file)))
    return jobs


def find(asked):
    """The jobs of the suites asked for; of the default tier without any. Ends the program where one does not exist."""
    full = asked == ["full"]
    jobs = from_ctest("release", full=full) + from_python(full)
    if full:
        for preset in ("ubsan", "tsan"):
            jobs += [job for job in from_ctest(preset, preset) if not job.broker and (job.kind == "gtest" or job.name.startswith("fuzz_"))]
        jobs += searches()
    else:
        jobs += from_ctest("asan", "asan", SANITISED)
    order = SUITES + sorted({job.suite for job in jobs} - set(SUITES))
    if asked and not full:
        unknown = [name for name in asked if name not in order and not any(job.name == name for job in jobs)]
        if unknown:
            sys.exit(f"there is no suite or program {', '.join(unknown)}; the suites are {', '.join(order)}, and full")
        jobs = [job for job in jobs if job.suite in asked or job.name in asked]
    return sorted(jobs, key=lambda job: order.index(job.suite))
