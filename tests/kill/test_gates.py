"""One event id is one event: sent twice, on two partitions, before and after a kill (MILLRACE_TEST_BROKERS). gates.py measures the rest."""
import asyncio
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
if not os.environ.get("MILLRACE_TEST_BROKERS"):
    raise unittest.SkipTest(os.environ.get("MILLRACE_TEST_BROKERS_UNAVAILABLE", "no broker: MILLRACE_TEST_BROKERS is not set"))

import aiokafka.admin  # noqa: E402
from history import BROKERS, BUILD, ROOT, admin, read_effects  # noqa: E402
from support.millrace import Millrace, event, now, wait  # noqa: E402

PREFIX = f"gate-{uuid.uuid4().hex[:8]}"
TASKS, REMINDERS = f"{PREFIX}-tasks", f"{PREFIX}-reminders"
CONFIG = {
    "server": {"plugin_dirs": [str(BUILD / "plugins")], "schema_dir": str(ROOT / "schemas")},
    "transport": "kafka",
    "kafka": {"brokers": BROKERS, "group_prefix": PREFIX},
    "topics": {TASKS: {"partitions": 3, "schema": "task-event"}, REMINDERS: {"partitions": 3, "schema": "reminder-event"}},
    "handlers": {
        "recurring": {"plugin": "recurring", "topics": [TASKS], "config": {"topic": TASKS}},
        "notification": {"plugin": "notification", "topics": [REMINDERS, TASKS], "config": {"screens_topic": ""}},
        "audit": {"plugin": "audit", "topics": [TASKS, REMINDERS]},
    },
}


def send(topic, partition, value):
    subprocess.run(["kcat", "-b", BROKERS, "-P", "-t", topic, "-p", str(partition)], input=json.dumps(value).encode() + b"\n", check=True, timeout=30)


class OneEventId(unittest.TestCase):
    def setUp(self):
        async def make():
            async with admin() as client:
                await client.create_topics([aiokafka.admin.NewTopic(name, 3, 1) for name in (TASKS, REMINDERS)])
        asyncio.run(make())

    def test_is_processed_once_also_on_two_partitions_and_after_a_kill(self):
        task = event("u", "t", "completed", due_date=now(-60), recurrence={"rule": "daily"})
        reminder = {"event_id": str(uuid.uuid4()), "schema_version": 1, "timestamp": now(), "task_id": "t2", "user_id": "u", "title": "Water",
                    "remind_at": now(1)}
        with tempfile.TemporaryDirectory() as folder:
            config = pathlib.Path(folder) / "gate.yaml"
            config.write_text(json.dumps(CONFIG))
            with Millrace(directory=folder, config=config) as server:
                server.wait_ready()
                for partition in (0, 0, 1):
                    send(TASKS, partition, task)
                    send(REMINDERS, partition, reminder)
                wait(lambda: server.query("notification", "deliveries", user="u")["items"], "the reminder")
                wait(lambda: self.created(), "the next task")
                server.kill()
                server.start()
                send(TASKS, 2, task)
                send(REMINDERS, 2, reminder)
                # Seven records and the next task; the audit counts by partition, where one of three is a duplicate.
                wait(lambda: server.query("audit", "summary")["events"] == 7, "the audit")
                server.wait_idle()
                self.assertEqual(len(self.created()), 1)
                self.assertEqual(len(server.query("notification", "deliveries", user="u")["items"]), 1)
                self.assertEqual(server.handler("recurring")["totals"]["duplicates"], 1)
                self.assertEqual(server.handler("notification")["totals"]["duplicates"], 2)

    def created(self):
        return [value for _, value in read_effects(TASKS) if value["event_type"] == "created"]


if __name__ == "__main__":
    unittest.main()
