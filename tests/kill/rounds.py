"""rounds.py [--rounds N] [--events N] [--results FILE] [FAULT...]: a running server, events from foreign clients, a fault, and the check of the history.

    tests/integration/kafka/broker run -- build/venv/.../python tests/kill/rounds.py --rounds 50 --events 20000

A round is a log and an installation of its own. Where the server died its files and the topics are checked as they are, before it is
started again, and once more when everything is processed. Prints the table of docs/GUARANTEES.md; a round with a finding ends it all.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from history import Findings, History, Log, read_state  # noqa: E402
from support.millrace import Millrace, wait  # noqa: E402

PATIENCE = 120
SESSION_MS = 1500  # of the rounds that let the session expire
# Passings, for each thousand events, within which every run comes by at least so often; the fault is at a random one of them.
KILL_POINTS = {"after_fetch": 2, "after_claim": 3, "in_handler": 1500, "in_commit": 300, "after_effects_commit": 3,
               "after_dead_letter_write": 15, "before_offset_commit": 0.2}


FAULTS = [*KILL_POINTS, "random", "stopped", "broker"]


class Round:
    def __init__(self, fault, events, folder):
        self.fault = fault
        self.events = events
        self.log = Log()
        self.findings = Findings()
        self.first = None  # seconds from the start after a death until a record is processed
        self.recovery = None  # seconds from the start after the fault until all are
        self.folder = pathlib.Path(folder)
        properties = {"session_timeout_ms": SESSION_MS, "heartbeat_interval_ms": 300} if fault == "stopped" else {}
        config = self.folder / "kill.yaml"
        config.write_text(self.log.config(**properties))
        self.server = Millrace(directory=folder, config=config)

    def run(self):
        try:
            self.log.produce(self.events // 2)
            {"stopped": self.stop_and_continue, "broker": self.restart_broker}.get(self.fault, self.die)()
            self.drain()
            self.server.kill()
            self.check(finished=True)
            return self
        finally:
            self.server.kill()
            self.log.delete()

    def die(self):
        """At the named point, or at any moment while there is work and once more while it recovers."""
        if self.fault in KILL_POINTS:
            count = random.randint(1, max(1, int(KILL_POINTS[self.fault] * self.events / 1000)))
            self.server.environment = {"MILLRACE_KILL_AT": f"{self.fault}:{count}"}
        self.server.start()
        self.log.produce(self.events - self.events // 2)
        if self.fault == "random":
            share = random.random() * 0.9
            wait(lambda: self.done() >= share * self.log.total(), "progress", PATIENCE)
            self.server.process.kill()
        self.bury()
        if self.fault == "random":
            self.server.start()
            threading.Event().wait(random.random())
            self.server.process.kill()
            self.bury()
        self.server.environment = {}
        self.started = time.monotonic()
        self.server.start()
        wait(lambda: self.handled() > 0 or self.done() == self.log.total(), "a first record", PATIENCE)
        self.first = time.monotonic() - self.started

    def bury(self):
        wait(lambda: self.server.process.poll() is not None, f"the death at {self.server.environment}", PATIENCE)
        if self.server.process.returncode != -signal.SIGKILL:
            raise AssertionError(f"it ended with {self.server.process.returncode}: {self.server.log_text()[-2000:]}")
        self.server.kill()
        self.log.produced()
        self.check()

    def stop_and_continue(self):
        """Stands still until it is no member any more, and goes on as if nothing had been."""
        self.server.start()
        self.log.produce(self.events - self.events // 2)
        wait(lambda: self.done() > self.log.total() * 0.2, "progress", PATIENCE)
        self.server.process.send_signal(signal.SIGSTOP)
        threading.Event().wait(SESSION_MS / 1000 + 1.5)
        self.log.produced()
        self.check()
        self.log.produce(self.events // 10)
        self.started = time.monotonic()
        self.server.process.send_signal(signal.SIGCONT)

    def restart_broker(self):
        self.server.start()
        self.log.produce(self.events - self.events // 2)
        wait(lambda: self.done() > self.log.total() * 0.2, "progress", PATIENCE)
        self.started = time.monotonic()
        os.kill(int(os.environ["MILLRACE_TEST_BROKER_CONTROL"]), signal.SIGUSR1)

    def done(self):
        """Records that the handler of the ledger has come past, by its own account."""
        rows = self.server.handler("ledger")["partitions"]
        return sum(max(0, row["position"] or 0) for row in rows)

    def handled(self):
        """Records since the start of the process."""
        return sum(self.server.handler("ledger")["totals"][outcome] for outcome in ("acked", "duplicates", "dead_lettered"))

    def drain(self):
        self.log.produced()

        def drained():
            handlers = self.server.get("/v1/handlers")["handlers"]
            return all(each["outbox"] == 0 and each["timers"] == 0 and each["queue_records"] == 0
                       and sum(row["committed"] or 0 for row in each["partitions"]) == self.log.total() for each in handlers)
        wait(drained, "the end of all work", PATIENCE)
        self.recovery = time.monotonic() - self.started

    def check(self, finished=False):
        found = History(self.log, [read_state(self.folder / "data")]).check(finished)
        if finished:
            found.add(self.findings)
            self.findings = found
        else:
            found.events_again = found.letters_again = 0  # they are counted at the end
            self.findings.add(found)


def run_round(fault, events):
    with tempfile.TemporaryDirectory(prefix="millrace-kill-") as folder:
        done = Round(fault, events, folder).run()
        faults = done.findings.faults()
        if faults:
            kept = pathlib.Path(tempfile.mkdtemp(prefix="millrace-kill-failed-"))
            os.rename(folder, kept / "server")
            os.mkdir(folder)
            raise AssertionError(f"{fault}: {faults}; the server's directory is kept in {kept}")
        return done


def result_of(done):
    return {"fault": done.fault, "records": done.log.total(), "recovery": done.recovery, "events_again": done.findings.events_again,
            "letters_again": done.findings.letters_again}


def row(fault, results):
    """Of the table: a round with a fault in its history does not come here."""
    seconds = sorted(each["recovery"] for each in results)
    total = {name: sum(each[name] for each in results) for name in ("records", "events_again", "letters_again")}
    return (f"| {fault} | {len(results)} | {total['records']} | 0 | 0 | 0 | 0 | {total['events_again']} | {total['letters_again']} | "
            f"{statistics.median(seconds):.1f} s, at most {seconds[-1]:.1f} s |")


HEAD = """\
| fault | rounds | records | lost | effects repeated | disordered | committed too far | event ids sent again | dead letters again | recovered |
|---|---|---|---|---|---|---|---|---|---|"""


def table(file):
    results = [json.loads(line) for line in file.read_text().splitlines()]
    rows = [row(fault, found) for fault in FAULTS if (found := [each for each in results if each["fault"] == fault])]
    print("\n".join([HEAD, *rows]))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--events", type=int, default=20_000)
    arguments.add_argument("--results", type=pathlib.Path, help="appends each round's to this file, and prints the table of all in it")
    arguments.add_argument("faults", nargs="*", default=FAULTS)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = given.results or pathlib.Path(folder) / "results"
        for _ in range(given.rounds):
            for fault in given.faults:
                result = result_of(run_round(fault, given.events))
                with open(file, "a") as results:
                    results.write(json.dumps(result) + "\n")
        table(file)


if __name__ == "__main__":
    main()
