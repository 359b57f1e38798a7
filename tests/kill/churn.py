"""churn.py [--seconds N] [--rate N]: servers that come and go, each with an installation of its own and `cluster: accept_unmoved_state`.

    tests/integration/kafka/broker run -- build/venv/.../python tests/kill/churn.py

Every three seconds one of four leaves, by SIGTERM or by SIGKILL, or comes back, while events are written to twelve partitions. At the
end all are there until everything is processed. Nothing may be lost, no key's order may break, no offset may ever have been committed
above unresolved work: that is read from the group's own log, __consumer_offsets. What two installations did both is counted.
"""
import argparse
import asyncio
import json
import pathlib
import random
import signal
import struct
import sys
import tempfile
import threading
import time

import aiokafka

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from history import BROKERS, History, Log, read_state  # noqa: E402
from support.millrace import Millrace, wait  # noqa: E402

PATIENCE = 180
SERVERS = 4
EVERY = 3  # seconds
CLOCK_MS = 5  # by which times of two processes on one machine may differ


class Server(Millrace):
    """Leaves without being waited for."""

    leaving = False

    def leave(self, how):
        self.process.send_signal(how)
        self.leaving = True

    def come(self):
        if self.leaving:
            self.process.wait(PATIENCE)
            self.kill()
        self.leaving = False
        self.start()


class Churn:
    def __init__(self, folder, seconds, rate):
        self.seconds, self.rate = seconds, rate
        self.log = Log(partitions=12)
        config = pathlib.Path(folder) / "kill.yaml"
        config.write_text(self.log.config(cluster="accept_unmoved_state", heartbeat_interval_ms=200, session_timeout_ms=1500))
        self.servers = []
        for number in range(SERVERS):
            directory = pathlib.Path(folder) / str(number)
            directory.mkdir()
            self.servers.append(Server(directory=directory, config=config))
        self.steps = 0
        self.ended = None

    def run(self):
        try:
            for server in self.servers:
                server.start()
            self.churn()
            self.finish()
            for server in self.servers:
                server.kill()
            return self.check()
        finally:
            for server in self.servers:
                server.kill()
            self.log.delete()

    def churn(self):
        """Writes at an even rate in the first three quarters of the time."""
        write = self.log.stream()
        started = time.monotonic()
        while (now := time.monotonic() - started) < self.seconds:
            due = int(min(now, self.seconds * 0.75) * self.rate) - len(self.log.events)
            if due > 0:
                write(due)
            if now >= (self.steps + 1) * EVERY:
                self.step()
            threading.Event().wait(0.1)
        write(0)
        self.ended = time.time()

    def step(self):
        self.steps += 1
        away = [server for server in self.servers if server.leaving]
        if away and (len(away) == SERVERS - 1 or random.random() < 0.5):
            return random.choice(away).come()
        here = [server for server in self.servers if not server.leaving]
        random.choice(here).leave(random.choice([signal.SIGTERM, signal.SIGKILL]))

    def finish(self):
        for server in self.servers:
            if server.leaving:
                server.come()
        self.log.produced()

        def done():
            handlers = [each for server in self.servers for each in server.get("/v1/handlers")["handlers"]]
            return (all(each["outbox"] == 0 and each["timers"] == 0 for each in handlers)
                    and all(sum(offsets.values()) == self.log.total() for offsets in self.log.committed().values()))
        wait(done, "the end of all work", PATIENCE)

    def check(self):
        history = History(self.log, [read_state(server.directory / "data") for server in self.servers])
        found = history.check(finished=True)
        first = first_times(history)
        found.committed_too_far += commits_too_early(self.log, first)
        during = sum(1 for at in first.values() if at < self.ended * 1000)
        rows = sum(history.rows.values()) + sum(history.kept.values())
        return found, {"steps": self.steps, "records": self.log.total(), "effects": rows, "repeated": found.elsewhere,
                       "during": during / max(1, len(first)), "events_again": found.events_again, "letters_again": found.letters_again}


def first_times(history):
    """When each record was first taken by the ledger, in milliseconds, by number."""
    first = {}
    for state in history.states:
        for shard in state.ledger:
            for kind, _, number, _, at in shard:
                if kind == "record":
                    first[number] = min(at / 1000, first.get(number, at / 1000))
    return first


def commits_too_early(log, first):
    """Commits of the ledger's group that the broker took before a record below them was taken. Dead letters leave no row to tell."""
    late = []
    for partition, offset, at in asyncio.run(read_commits(f"{log.prefix}.ledger", log.topic)):
        for number in log.records[partition][:offset]:
            if first.get(number, 0) > at + CLOCK_MS:
                late.append(f"partition {partition}: {offset} was committed at {at}, number {number} was taken at {first[number]}")
    return late


async def read_commits(group, topic):
    """(partition, offset, milliseconds) of every commit of the group, from the broker's own log of them."""
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=BROKERS, auto_offset_reset="earliest")
    await consumer.start()
    try:
        where = aiokafka.TopicPartition("__consumer_offsets", 0)
        consumer.assign([where])
        end = (await consumer.end_offsets([where]))[where]
        found = []
        while await consumer.position(where) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [commit for record in records if (commit := commit_of(record, group, topic))]
        return found
    finally:
        await consumer.stop()


def commit_of(record, group, topic):
    """Of a record of __consumer_offsets: key version 0 or 1, group, topic, partition; value version, offset."""
    if record.value is None or struct.unpack_from(">h", record.key)[0] > 1:
        return None
    at = 2
    names = []
    for _ in range(2):
        length = struct.unpack_from(">h", record.key, at)[0]
        names.append(record.key[at + 2:at + 2 + length].decode())
        at += 2 + length
    if names != [group, topic]:
        return None
    return struct.unpack_from(">i", record.key, at)[0], struct.unpack_from(">q", record.value, 2)[0], record.timestamp


def run(seconds, rate):
    with tempfile.TemporaryDirectory(prefix="millrace-churn-") as folder:
        return Churn(folder, seconds, rate).run()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=90)
    arguments.add_argument("--rate", type=float, default=1000, help="events a second")
    given = arguments.parse_args()
    found, figures = run(given.seconds, given.rate)
    print(json.dumps({"faults": found.faults(), **figures}, indent=2))
    return 1 if found.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
