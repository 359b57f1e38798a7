"""Topics made anew, offsets reset, retention past the position, partitions added: against a real broker, done with Kafka's own tools."""
import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import ROOT, Millrace, event, wait  # noqa: E402

BROKERS = os.environ.get("MILLRACE_TEST_BROKERS")
if not BROKERS:
    raise unittest.SkipTest(os.environ.get("MILLRACE_TEST_BROKERS_UNAVAILABLE", "no broker: MILLRACE_TEST_BROKERS is not set"))

CONFIG = """
transport: kafka
server: {{schema_dir: {root}/schemas, plugin_dirs: [{root}/build/release/plugins]}}
topics:
  {topic}: {{partitions: {partitions}, schema: task-event}}
handlers:
  audit:
    plugin: audit
    topics: [{topic}]
    start: {start}
"""


def jars():
    path = str(ROOT / "tests/integration/kafka/broker")
    loader = importlib.machinery.SourceFileLoader("kafka_broker", path)
    broker = importlib.util.module_from_spec(importlib.util.spec_from_loader("kafka_broker", loader))
    loader.exec_module(broker)
    return broker.jars()


def tool(name, *arguments):
    """One of Kafka's command line tools, by its class."""
    done = subprocess.run(["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars()}/*", name, "--bootstrap-server", BROKERS, *arguments],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def topics(*arguments):
    return tool("org.apache.kafka.tools.TopicCommand", *arguments)


def groups(*arguments):
    return tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", *arguments)


class Authority(unittest.TestCase):
    def setUp(self):
        self.topic = f"authority-{uuid.uuid4()}"
        self.prefix = f"a{uuid.uuid4()}"
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="millrace-e2e-"))
        self.sent = 0

    def server(self, start="earliest"):
        config = pathlib.Path(self.directory) / "config.yaml"
        config.write_text(CONFIG.format(root=ROOT, topic=self.topic, partitions=1, start=start))
        return Millrace(f"kafka.brokers={BROKERS}", f"kafka.group_prefix={self.prefix}", "kafka.create_topics=all",
                        "kafka.properties.topic.metadata.refresh.interval.ms=500",
                        "kafka.properties.session.timeout.ms=3000", "kafka.properties.heartbeat.interval.ms=500", directory=self.directory, config=config)

    def send(self, server, count):
        """By user, so that every partition gets some."""
        answer = server.publish(self.topic, *(event(f"u{self.sent + i}", str(self.sent + i)) for i in range(count)))
        self.sent += count
        return answer

    def counted(self, server):
        return server.query("audit", "summary")["events"]

    def wait_counted(self, server, count):
        wait(lambda: self.counted(server) == count, f"{count} events; {self.held(server)}")

    def held(self, server):
        return "".join(row["held"] or "" for row in server.handler("audit")["partitions"])

    def wait_held(self, server, reason):
        held = wait(lambda: reason in self.held(server) and self.held(server), reason)
        self.assertIn(reason, server.request("/readyz")[2])
        return held

    def remake(self):
        topics("--delete", "--topic", self.topic)
        wait(lambda: self.topic not in topics("--list").split(), "the topic's end")
        topics("--create", "--topic", self.topic, "--partitions", "1", "--replication-factor", "1")

    def read_and_stop(self, count):
        with self.server() as server:
            server.wait_ready()
            self.send(server, count)
            self.wait_counted(server, count)
            server.wait_idle()
            server.stop()

    def test_a_topic_that_was_deleted_and_made_again_is_held_and_read_when_told_to(self):
        self.read_and_stop(5)
        self.remake()
        with self.server() as server:
            # As many records as before, so that the offsets alone would tell nothing.
            wait(lambda: server.handler("audit")["partitions"], "the assignment")
            self.wait_held(server, "topic_recreated")
            self.send(server, 6)
            again = server.cli("handlers", "resume", "audit")
            self.assertEqual(again.returncode, 1, again.stdout + again.stderr)
            self.assertIn("still held: topic_recreated", again.stdout)
            self.assertIn("another one than was processed", again.stdout)
            self.assertEqual(self.counted(server), 5)
            done = server.cli("handlers", "replay", "audit", "--from", "earliest")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.wait_counted(server, 11)
            server.wait_ready()

    def test_offsets_reset_with_kafkas_tool_change_nothing_and_are_published_again(self):
        self.read_and_stop(5)
        group = f"{self.prefix}.audit"
        # A static member stays in its group until its session ends.
        wait(lambda: "Empty" in groups("--describe", "--group", group, "--state"), "the end of the session")
        groups("--group", group, "--reset-offsets", "--to-earliest", "--topic", self.topic, "--execute")
        row = next(line.split() for line in groups("--describe", "--group", group).splitlines() if self.topic in line)
        self.assertEqual(row[3], "0", row)
        with self.server() as server:
            server.wait_ready()
            self.send(server, 1)
            self.wait_counted(server, 6)
            wait(lambda: server.handler("audit")["partitions"][0]["committed"] == 6, "the published position")
            self.assertEqual(self.held(server), "")
            wait(lambda: "set back from outside" in server.log_text(), "the log line")

    def test_an_offset_set_forward_is_a_state_that_is_behind(self):
        with self.server() as server:
            server.wait_ready()
            self.send(server, 2)
            self.wait_counted(server, 2)
            server.wait_idle()
            self.send(server, 3)
            self.wait_counted(server, 5)
            server.wait_idle()
            server.stop()
        # An older copy of the data would be so: here the group is ahead of what the handler's file says.
        for file in (pathlib.Path(self.directory) / "data/handlers/audit").iterdir():
            file.unlink()
        with self.server() as server:
            self.wait_held(server, "state_behind")
            self.assertEqual(server.cli("handlers", "resume", "audit", "--accept").returncode, 0)
            self.send(server, 1)
            self.wait_counted(server, 1)

    def test_retention_past_the_position_is_held_until_it_is_accepted(self):
        self.read_and_stop(3)
        with Millrace(f"kafka.brokers={BROKERS}", f"kafka.group_prefix=x{uuid.uuid4()}",
                      config=pathlib.Path(self.directory) / "config.yaml") as writer:
            self.send(writer, 5)
        offsets = pathlib.Path(self.directory) / "offsets.json"
        offsets.write_text(f'{{"partitions":[{{"topic":"{self.topic}","partition":0,"offset":6}}],"version":1}}')
        tool("org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", str(offsets))
        with self.server() as server:
            self.assertIn("offset 6", self.wait_held(server, "retention_passed"))
            done = server.cli("handlers", "resume", "audit", "--topic", self.topic, "--partition", "0", "--accept")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.wait_counted(server, 5)
            server.wait_ready()

    def test_an_added_partition_is_found_and_read_from_its_beginning(self):
        with self.server("latest") as server:
            wait(lambda: [row["position"] for row in server.handler("audit")["partitions"]] == [0], "the first position")
            topics("--alter", "--topic", self.topic, "--partitions", "3")
            # Until the producer knows of them: what it then writes may come before the handler does.
            while not any(result["partition"] > 0 for result in self.send(server, 10)["results"]):
                pass
            wait(lambda: len(server.handler("audit")["partitions"]) == 3, "the discovery")
            self.wait_counted(server, self.sent)
            server.wait_idle()
            self.assertEqual(sum(row["position"] for row in server.handler("audit")["partitions"]), self.sent)


if __name__ == "__main__":
    unittest.main()
