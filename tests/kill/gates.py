"""gates.py [GATE...]: what people ask of such a server first, measured with Kafka's own tools and foreign clients. Prints figures.

    tests/integration/kafka/broker run -- build/venv/.../python tests/kill/gates.py

    lag          the largest lag of each group, by kafka-consumer-groups, while 1,000 events a second come, with all four handlers
    dead_letter  seconds from a record's own time to its dead letter's, for each way to fail
    recovery     seconds from the start after a kill to the first event that is processed, and to all
"""
import argparse
import asyncio
import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import aiokafka
import aiokafka.admin

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from history import BROKERS, ROOT, Log, admin  # noqa: E402
from rounds import run_round  # noqa: E402
from support.millrace import Millrace, event, now, wait  # noqa: E402

TOPICS = {"task-events": 3, "reminders": 3, "task-updates": 3}
RATE = 1000
SECONDS = 60
USERS = 200


def make_topics():
    async def make():
        async with admin() as client:
            there = await client.list_topics()
            await client.create_topics([aiokafka.admin.NewTopic(name, count, 1) for name, count in TOPICS.items() if name not in there])
    asyncio.run(make())


def next_event(number):
    """Of every ten seven tasks (one of them completed, and recurring), one reminder, two deltas."""
    user = f"u{number % USERS}"
    kind = number % 10
    if kind < 7:
        more = {"recurrence": {"rule": "daily"}, "due_date": now(3600)} if kind == 0 else {}
        return "task-events", user, event(user, f"t{number}", "completed" if kind == 0 else "created", **more)
    if kind == 7:
        return "reminders", user, {"event_id": str(uuid.uuid4()), "schema_version": 1, "timestamp": now(), "task_id": f"t{number}", "user_id": user,
                                   "title": "x", "due_at": now(7200), "remind_at": now(3600)}
    return "task-updates", user, {"event_id": str(uuid.uuid4()), "schema_version": 1, "event_type": "updated", "timestamp": now(),
                                  "task_id": f"t{number}", "user_id": user, "changes": {"title": "y"}}


class Flow(threading.Thread):
    """RATE events a second through one kcat a topic."""

    def __init__(self, seconds):
        super().__init__(daemon=True)
        self.seconds = seconds
        self.sent = 0

    def run(self):
        pipes = {topic: subprocess.Popen(["kcat", "-b", BROKERS, "-P", "-t", topic, "-K", "\t", "-X", "partitioner=murmur2_random"], stdin=subprocess.PIPE)
                 for topic in TOPICS}
        started = time.monotonic()
        while (elapsed := time.monotonic() - started) < self.seconds:
            while self.sent < elapsed * RATE:
                topic, user, value = next_event(self.sent)
                pipes[topic].stdin.write(f"{user}\t{json.dumps(value)}\n".encode())
                self.sent += 1
            for pipe in pipes.values():
                pipe.stdin.flush()
            threading.Event().wait(0.01)
        for pipe in pipes.values():
            pipe.stdin.close()
            pipe.wait()


def consumer_groups(*arguments):
    """Kafka's own kafka-consumer-groups."""
    command = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{ROOT}/build/kafka/jars/*",
               "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--bootstrap-server", BROKERS, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout


def lags(prefix):
    """(group, topic, partition) -> lag, of every group of this prefix."""
    found = {}
    for line in consumer_groups("--describe", "--all-groups").splitlines():
        fields = line.split()
        if len(fields) >= 6 and fields[0].startswith(prefix) and fields[5].isdigit():
            found[fields[0], fields[1], int(fields[2])] = int(fields[5])
    return found


def lag():
    make_topics()
    prefix = f"gate-{uuid.uuid4().hex[:8]}"
    with Millrace("transport=kafka", f"kafka.brokers={BROKERS}", f"kafka.group_prefix={prefix}") as server:
        server.wait_ready()
        flow = Flow(SECONDS)
        flow.start()
        samples = []
        while flow.is_alive():
            samples.append(lags(prefix))
        server.wait_idle()
        whole = [collections.Counter() for _ in samples]
        for sample, total in zip(samples, whole):
            for (group, _, _), value in sample.items():
                total[group] += value
        print(f"lag: {flow.sent} events in {SECONDS} s, {len(samples)} samples by kafka-consumer-groups")
        for group in sorted(set().union(*whole)):
            values = sorted(total[group] for total in whole if group in total)
            one = max(value for sample in samples for (name, _, _), value in sample.items() if name == group)
            print(f"  {group.partition('.')[2]:14} over all partitions: largest {values[-1]}, median {values[len(values) // 2]}; of one partition: largest {one}")
        print(f"  at the end: {sum(lags(prefix).values())}")


def dead_letter():
    """One of each at a time: a handler that hangs holds its shard."""
    fates = {"undecodable": None, "schema": {"event_type": 5}, "handler (dead_letter)": "dead", "retries-exhausted": "never", "timeout": "hang"}
    for name, fate in fates.items():
        log = Log(partitions=1)
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "kill.yaml").write_text(log.config())
            with Millrace(directory=folder, config=pathlib.Path(folder) / "kill.yaml") as server:
                server.wait_ready()
                value = event("u", "1", title=fate) if isinstance(fate, str) else "not json" if fate is None else {**event("u", "1"), "user_id": {"a": 1}}
                log.events[0] = None
                body = json.dumps(value) if isinstance(value, dict) else value
                subprocess.run(["kcat", "-b", BROKERS, "-P", "-t", log.topic, "-p", "0", "-K", "\t"], input=f"u\t{body}\n".encode(), check=True)
                letter = wait(lambda: first_letter(log), f"the dead letter of {name}", 60)
        print(f"dead_letter: {name:22} {letter:6.2f} s")
        log.delete()


def first_letter(log):
    """Seconds from the record's own time to that of the ledger's dead letter; None while there is none."""
    async def read():
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=BROKERS, auto_offset_reset="earliest")
        await consumer.start()
        try:
            consumer.assign([aiokafka.TopicPartition(log.dead_letters, 0), aiokafka.TopicPartition(log.topic, 0)])
            seen = {}
            for records in (await consumer.getmany(timeout_ms=300)).values():
                for record in records:
                    if record.topic == log.topic or dict(record.headers)["millrace-handler"] == b"ledger":
                        seen[record.topic] = record.timestamp
            return (seen[log.dead_letters] - seen[log.topic]) / 1000 if len(seen) == 2 else None
        finally:
            await consumer.stop()
    return asyncio.run(read())


def recovery():
    done = [run_round("random", 20_000) for _ in range(5)]
    print("recovery: first event after the start " + ", ".join(f"{each.first:.2f}" for each in done) + " s; all "
          + ", ".join(f"{each.recovery:.2f}" for each in done) + " s")


def main():
    gates = {"lag": lag, "dead_letter": dead_letter, "recovery": recovery}
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("gates", nargs="*", choices=[[], *gates], default=list(gates))
    for name in arguments.parse_args().gates or gates:
        gates[name]()


if __name__ == "__main__":
    main()
