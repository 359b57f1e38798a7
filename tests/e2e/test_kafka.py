"""The same with a real Kafka broker (MILLRACE_TEST_BROKERS), written to and read by foreign clients: aiokafka and kcat."""
import asyncio
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import Millrace, Stream, event, now, wait  # noqa: E402

BROKERS = os.environ.get("MILLRACE_TEST_BROKERS")
if not BROKERS:
    raise unittest.SkipTest(os.environ.get("MILLRACE_TEST_BROKERS_UNAVAILABLE", "no broker: MILLRACE_TEST_BROKERS is not set"))

import aiokafka  # noqa: E402
import aiokafka.admin  # noqa: E402

TOPICS = {"task-events": 3, "reminders": 5, "task-updates": 3}
LARGE = 20 << 20
MOST_MEMORY = 1 << 30  # of a server with four handlers and a few such records at a time


async def make_topics():
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        gone = [t for t in there if not t.startswith("__")]
        if gone:
            await admin.delete_topics(gone)
        for _ in range(200):
            if not set(gone) & set(await admin.list_topics()):
                break
            await asyncio.sleep(0.05)
        await admin.create_topics([
            aiokafka.admin.NewTopic(name, partitions, 1, topic_configs={"max.message.bytes": str(LARGE + (1 << 20))}) for name, partitions in TOPICS.items()])
    finally:
        await admin.close()


async def send(records):
    """(topic, key, value, headers) each, values as bytes, objects, or None for a tombstone; headers, bytes, may be left out."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=BROKERS, acks="all", max_request_size=LARGE + (1 << 20))
    await producer.start()
    try:
        for topic, key, value, *headers in records:
            body = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
            await producer.send_and_wait(topic, body, key=key.encode() if key is not None else None, headers=headers[0] if headers else None)
    finally:
        await producer.stop()


def kcat_read(topic):
    """Every record of the topic as kcat sees it."""
    done = subprocess.run(["kcat", "-b", BROKERS, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J"], capture_output=True, text=True, check=True, timeout=30)
    return [json.loads(line) for line in done.stdout.splitlines()]


async def read(topic):
    """Every record of the topic as aiokafka sees it: bytes are bytes."""
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=BROKERS, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([aiokafka.TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic) or await partitions(consumer, topic))])
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(p) < end for p, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        return found
    finally:
        await consumer.stop()


async def partitions(consumer, topic):
    await consumer._client.set_topics([topic])
    return consumer.partitions_for_topic(topic) or set()


def kafka(*settings, **more):
    # A group prefix of its own: each test is a new installation.
    return Millrace("transport=kafka", f"kafka.brokers={BROKERS}", f"kafka.group_prefix=e2e-{uuid.uuid4()}", *settings, **more)


class Kafka(unittest.TestCase):
    def setUp(self):
        asyncio.run(make_topics())

    def test_three_kinds_of_producers_end_in_one_next_task_and_one_reminder(self):
        with kafka() as server:
            server.wait_ready()
            remind_at = now(2)
            records = []
            for key in (None, "t", "u"):
                records.append(("task-events", key, event("u", "t", "completed", due_date=now(-60), recurrence={"rule": "daily"})))
                reminder = {"event_id": str(uuid.uuid4()), "schema_version": 1, "timestamp": now(), "task_id": "t2", "user_id": "u", "title": "Water", "remind_at": remind_at}
                records.append(("reminders", {None: None, "t": "t2", "u": "u"}[key], reminder))
            asyncio.run(send(records))
            wait(lambda: server.query("notification", "deliveries", user="u")["items"], "the reminder")
            server.wait_idle()
            created = [e for e in (json.loads(r["payload"]) for r in kcat_read("task-events")) if e["event_type"] == "created"]
            self.assertEqual(len(created), 1)
            self.assertEqual(len(server.query("notification", "deliveries", user="u")["items"]), 1)

    def test_a_delta_from_kcat_reaches_its_user_and_nobody_else(self):
        with kafka() as server:
            server.wait_ready()
            mine, other = Stream(server, "u"), Stream(server, "v")
            self.addCleanup(mine.close)
            self.addCleanup(other.close)
            delta = {"event_type": "updated", "task_id": "t", "user_id": "u", "changes": {"title": "x"}}
            subprocess.run(["kcat", "-b", BROKERS, "-P", "-t", "task-updates"], input=json.dumps(delta) + "\n", text=True, check=True, timeout=30)
            wait(lambda: mine.events, "the delta")
            self.assertEqual(mine.events[0]["data"], delta)
            self.assertEqual(other.events, [])

    def test_what_cannot_be_read_becomes_a_dead_letter_byte_for_byte(self):
        with kafka() as server:
            server.wait_ready()
            asyncio.run(send([("task-events", "k", b"not json \xff"), ("task-events", "k", event("u", "after"))]))
            # recurring, notification and audit each refuse it.
            letters = wait(lambda: (found := asyncio.run(read("task-events-dlq"))) and len(found) == 3 and found, "the dead letters")
            self.assertEqual({(letter.key, letter.value) for letter in letters}, {(b"k", b"not json \xff")})
            headers = [dict(letter.headers) for letter in letters]
            self.assertEqual({h["millrace-handler"] for h in headers}, {b"recurring", b"notification", b"audit"})
            self.assertEqual({h["millrace-error-class"] for h in headers}, {b"undecodable"})
            self.assertEqual({h["millrace-topic"] for h in headers}, {b"task-events"})
            wait(lambda: [item["task_id"] for item in server.audit()] == ["after"], "the neighbour")

    def test_killed_and_started_again_it_goes_on_where_it_was(self):
        with kafka() as server:
            server.wait_ready()
            sent = 0
            for round_ in range(3):
                asyncio.run(send([("task-events", None, event(f"u{i % 5}", f"{round_}-{i}", "completed", due_date=now(-60), recurrence={"rule": "daily"})) for i in range(50)]))
                sent += 50
                server.kill()
                server.start()
            server.wait_ready()
            wait(lambda: server.query("audit", "summary")["events"] >= 2 * sent, "the audit of all events")
            server.wait_idle()
            self.assertEqual(server.query("audit", "summary")["events"], 2 * sent)
            created = [e for e in (json.loads(r["payload"]) for r in kcat_read("task-events")) if e["event_type"] == "created"]
            self.assertEqual(len({e["task_id"] for e in created}), sent)
            self.assertEqual(len({e["event_id"] for e in created}), sent)

    def test_lag_is_log_end_minus_committed_and_reaches_zero(self):
        with kafka() as server:
            server.wait_ready()
            asyncio.run(send([("task-events", None, event("u", str(i))) for i in range(20)]))
            wait(lambda: server.query("audit", "summary")["events"] == 20, "the audit")
            server.wait_idle()
            rows = [row for row in server.handler("audit")["partitions"] if row["topic"] == "task-events"]
            self.assertEqual(sum(row["committed"] for row in rows), 20)
            self.assertEqual(sum(row["end"] for row in rows), 20)

    def test_a_missing_broker_is_said_and_waited_for(self):
        with Millrace("transport=kafka", "kafka.brokers=127.0.0.1:9") as server:
            status, _, text = server.request("/readyz")
            self.assertEqual(status, 503)
            wait(lambda: "127.0.0.1:9" in server.request("/readyz")[2], "the reason")
            status, headers, _ = server.request("/v1/topics/task-events/events", "POST", json.dumps(event("u", "1")), {"Content-Type": "application/json"}, base=server.http)
            self.assertEqual(status, 503)
            self.assertIn("Retry-After", headers)


# Name, value and headers, and the class of its dead letter; without one it is handled, or skipped (docs/SCHEMAS.md).
BAD_INPUT = [
    ("empty", b"", [], b"undecodable"),
    ("tombstone", None, [], None),
    ("headers only", None, [("ce_specversion", b"1.0"), ("event_id", b"x")], None),
    ("headers of bytes", b"not json", [("event_id", b"\xff\x00"), ("millrace-error-class", b"old")], b"undecodable"),
    ("not UTF-8", b'{"user_id":"bad","title":"\xff\xfe"}', [], b"undecodable"),
    ("NUL bytes", b"\0\0\0", [], b"undecodable"),
    ("a NUL in a text", b'{"user_id":"b\0d"}', [], b"undecodable"),
    ("nested", b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", [], b"undecodable"),
    ("nested without end", b'{"data":' * 10_000, [], b"undecodable"),
    ("infinite", b'{"user_id":"bad","a":1e999}', [], b"undecodable"),
    ("beyond 64 bits", b'{"user_id":18446744073709551616,"task_id":"1"}', [], b"schema"),
    ("duplicate keys", b'{"user_id":"first","user_id":"last","task_id":"twice"}', [], None),
    ("lone surrogate", b'{"user_id":"bad","title":"\\ud800"}', [], b"undecodable"),
    ("event id equal to the task id", b'{"event_id":"31","task_id":"31","user_id":"u","event_type":"created"}', [], None),
    ("the same, of another event", b'{"event_id":"31","task_id":"31","user_id":"u","event_type":"updated"}', [], None),
    ("byte order mark", b'\xef\xbb\xbf{"user_id":"bom","task_id":"mark"}', [], None),
    ("NUL escaped", b'{"user_id":"n\\u0000l","task_id":"nul"}', [], None),
]


class BadInput(unittest.TestCase):
    """By a client that does not know better."""

    def setUp(self):
        asyncio.run(make_topics())

    def send_between(self, inputs):
        for name, value, headers, _ in inputs:
            self.sent += [("task-events", "k", event("good", f"before {name}")), ("task-events", "k", value, headers), ("task-events", "k", event("good", f"after {name}"))]
        asyncio.run(send(self.sent))

    sent = ()

    def letters(self, inputs):
        wanted = [(value, kind) for _, value, _, kind in inputs if kind for _ in ("recurring", "notification", "audit")]
        found = wait(lambda: len(found := asyncio.run(read("task-events-dlq"))) >= len(wanted) and found, "the dead letters", 60)
        self.assertCountEqual([(letter.value, dict(letter.headers)["millrace-error-class"]) for letter in found], wanted)
        return found

    def expect_neighbours(self, server, inputs, tasks):
        wanted = {f"{place} {name}" for name, *_ in inputs for place in ("before", "after")}
        self.assertEqual(wanted - tasks, set())
        server.wait_idle()
        self.assertEqual(server.request("/readyz")[0], 200)

    def test_each_is_contained_its_bytes_are_kept_and_its_neighbours_are_handled(self):
        self.sent = []
        with kafka() as server:
            server.wait_ready()
            self.send_between(BAD_INPUT)
            for letter in self.letters(BAD_INPUT):
                self.assertEqual(letter.key, b"k")
                self.assertEqual([name for name, _ in letter.headers].count("millrace-error-class"), 1)
            kept = wait(lambda: len(rows := server.audit()) == 2 * len(BAD_INPUT) + 5 and rows, "the audit of what can be read")
            self.expect_neighbours(server, BAD_INPUT, {row["task_id"] for row in kept})
            strange = {row["task_id"]: row["user_id"] for row in kept if row["user_id"] != "good"}
            self.assertEqual(strange, {"twice": "last", "31": "u", "mark": "bom", "nul": "n\0l"})
            counts = server.query("audit", "summary")["partitions"]
            self.assertEqual(sum(row["skipped"] for row in counts), 2)
            self.assertEqual(sum(row["missing"] for row in counts), 0)

    def test_twenty_megabytes_are_handled_or_dead_lettered_whole_in_bounded_memory(self):
        self.sent = []
        good = json.dumps(event("large", "whole", description="x" * LARGE))[:LARGE].encode()
        inputs = [("broken", good, [], b"undecodable"), ("large", good[:-2] + b'"}}', [], None), ("broken again", good[:-1] + b"\xff", [], b"undecodable")]
        with kafka() as server:
            server.wait_ready()
            self.send_between(inputs)
            self.letters(inputs)
            kept = wait(lambda: len(rows := server.audit()) == 2 * len(inputs) + 1 and rows, "the audit of what can be read", 60)
            self.expect_neighbours(server, inputs, {row["task_id"] for row in kept})
            self.assertEqual([len(row["body"]) for row in kept if row["user_id"] == "large"], [LARGE + 1])
            peak = re.search(r"^VmHWM:\s+(\d+) kB$", pathlib.Path(f"/proc/{server.process.pid}/status").read_text(), re.MULTILINE)
            self.assertLess(int(peak.group(1)) << 10, MOST_MEMORY)


if __name__ == "__main__":
    unittest.main()
