"""Dead letters on a real Kafka broker (MILLRACE_TEST_BROKERS): its limits, its missing topics, what other clients read."""
import asyncio
import json
import os
import pathlib
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import Millrace, event, wait  # noqa: E402

BROKERS = os.environ.get("MILLRACE_TEST_BROKERS")
if not BROKERS:
    raise unittest.SkipTest(os.environ.get("MILLRACE_TEST_BROKERS_UNAVAILABLE", "no broker: MILLRACE_TEST_BROKERS is not set"))

import aiokafka  # noqa: E402
import aiokafka.admin  # noqa: E402

SOURCE, LETTERS = "task-events", "task-events-dlq"
LIMIT = 20_000


async def with_admin(work):
    admin = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await admin.start()
    try:
        return await work(admin)
    finally:
        await admin.close()


async def make(name, **configs):
    topic = aiokafka.admin.NewTopic(name, 1, 1, topic_configs={key.replace("_", "."): str(value) for key, value in configs.items()})
    await with_admin(lambda admin: admin.create_topics([topic]))


async def remove(*names):
    async def work(admin):
        there = set(names) & set(await admin.list_topics())
        if there:
            await admin.delete_topics(list(there))
        while there & set(await admin.list_topics()):
            await asyncio.sleep(0.05)
    await with_admin(work)


async def send(value, key=b"k", headers=()):
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=BROKERS, acks="all", max_request_size=1 << 20)
    await producer.start()
    try:
        await producer.send_and_wait(SOURCE, value, key=key, headers=list(headers))
    finally:
        await producer.stop()


async def read(topic):
    """Every record of the topic's one partition."""
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=BROKERS, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partition = aiokafka.TopicPartition(topic, 0)
        consumer.assign([partition])
        end = (await consumer.end_offsets([partition]))[partition]
        found = []
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        return found
    finally:
        await consumer.stop()


class KafkaDeadLetters(unittest.TestCase):
    def setUp(self):
        asyncio.run(remove(SOURCE, LETTERS))
        asyncio.run(make(SOURCE))

    def kafka(self):
        config = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="millrace-e2e-"))) / "millrace.yaml"
        root = pathlib.Path(__file__).resolve().parents[2]
        config.write_text(f"server: {{schema_dir: {root / 'schemas'}}}\ntopics: {{{SOURCE}: {{schema: task-event}}}}\n"
                          f"handlers: {{audit: {{topics: [{SOURCE}]}}}}\n")
        return Millrace("transport=kafka", f"kafka.brokers={BROKERS}", f"kafka.group_prefix=e2e-{uuid.uuid4()}", config=config)

    def letters(self, count):
        return wait(lambda: (found := asyncio.run(read(LETTERS))) and len(found) >= count and found, f"{count} dead letters")

    def test_other_tools_find_their_headers_in_their_encodings(self):
        with self.kafka() as server:
            server.wait_ready()
            asyncio.run(send(b"not json", headers=[("trace", b"7")]))
            letter, = self.letters(1)
            headers = dict(letter.headers)
            self.assertEqual((letter.key, letter.value, headers["trace"]), (b"k", b"not json", b"7"))
            self.assertEqual(headers["millrace-error-class"], b"undecodable")
            self.assertEqual(headers["__connect.errors.offset"], b"0")
            self.assertEqual(headers["__connect.errors.stage"], b"VALUE_CONVERTER")
            self.assertEqual(int.from_bytes(headers["kafka_dlt-original-offset"], "big"), 0)
            self.assertEqual(len(headers["kafka_dlt-original-offset"]), 8)
            self.assertEqual(len(headers["kafka_dlt-original-partition"]), 4)
            source, = asyncio.run(read(SOURCE))
            self.assertEqual(int.from_bytes(headers["kafka_dlt-original-timestamp"], "big"), source.timestamp)
            self.assertEqual(headers["kafka_dlt-original-timestamp-type"], b"CreateTime")

    def test_a_record_above_the_brokers_limit_leaves_a_pointer_and_holds_nothing(self):
        asyncio.run(make(LETTERS, max_message_bytes=LIMIT))
        with self.kafka() as server:
            server.wait_ready()
            large = b"not json" + b"x" * 2 * LIMIT
            asyncio.run(send(large))
            asyncio.run(send(json.dumps(event("u", "after")).encode()))
            letter, = self.letters(1)
            headers = dict(letter.headers)
            self.assertEqual((letter.key, letter.value), (b"k", None))
            self.assertEqual(headers["millrace-error-class"], b"too-large")
            self.assertIn(b"undecodable", headers["millrace-error-message"])
            self.assertEqual(headers["millrace-value-bytes"], str(len(large)).encode())
            wait(lambda: [item["task_id"] for item in server.audit()] == ["after"], "the neighbour")
            self.assertIn('class="too-large"', server.request("/metrics")[2])
            server.wait_idle()

    def test_headers_give_way_before_the_value_does(self):
        asyncio.run(make(LETTERS, max_message_bytes=LIMIT))
        with self.kafka() as server:
            server.wait_ready()
            value = b"not json" + b"x" * (LIMIT - 1_300)
            asyncio.run(send(value))
            letter, = self.letters(1)
            self.assertEqual(letter.value, value)
            names = {name for name, _ in letter.headers}
            self.assertIn("millrace-error-class", names)
            self.assertNotIn("kafka_dlt-original-offset", names)

    def test_a_key_whose_letters_have_no_topic_waits_and_goes_on_when_it_is_made(self):
        with self.kafka() as server:
            server.wait_ready()
            asyncio.run(send(b"not json"))
            self.letters(1)
            asyncio.run(remove(LETTERS))
            asyncio.run(send(b"not json either"))
            asyncio.run(send(json.dumps(event("u", "neighbour")).encode(), key=b"other"))
            held = 'millrace_held{handler="audit",partition="",reason="dead-letter",topic=""} 1'
            wait(lambda: held in server.request("/metrics")[2], "the alarm")
            wait(lambda: [item["task_id"] for item in server.audit()] == ["neighbour"], "the neighbour")
            self.assertIn("dead letter cannot be written", server.log_text())
            self.assertEqual(server.handler("audit")["partitions"][0]["committed"], 1, "nothing is skipped")
            asyncio.run(make(LETTERS))
            letter, = self.letters(1)
            self.assertEqual(letter.value, b"not json either")
            wait(lambda: server.handler("audit")["partitions"][0]["committed"] == 3, "the commit")
            wait(lambda: held not in server.request("/metrics")[2], "the end of the alarm")


if __name__ == "__main__":
    unittest.main()
