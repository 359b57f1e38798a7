"""Recurring over the real server: events in any order and on any partition, updates as deltas, rules that cost too much."""
import itertools
import pathlib
import sys
import tempfile
import time
import unittest
import urllib.parse
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import ROOT, Millrace, event, now, wait  # noqa: E402

RULE = {"recurrence": "daily", "due_date": "2036-12-01T09:00:00Z"}
NEXT = "2036-12-02T09:00:00Z"


def told(user, type, second, **members):
    """An event `second` s after an hour ago."""
    return {"event_id": str(uuid.uuid4()), "event_type": f"task.{type}", "timestamp": now(second - 3600), "user_id": user, "task_id": "1",
            **members}


def made(server):
    """The due dates of the next tasks by user."""
    dues = {}
    for each in server.events("task-events"):
        if "parent_task_id" in each.get("task_data", {}):
            dues.setdefault(each["user_id"], []).append(each["task_data"]["due_date"])
    return dues


# What was written, in the order of its time, and how many next tasks it makes.
HISTORIES = {
    "completed": ([("created", RULE), ("completed", {})], 1),
    "uncompleted": ([("completed", RULE), ("updated", {"completed": False})], 0),
    "uncompleted by a type of its own": ([("completed", RULE), ("uncompleted", {})], 0),
    "deleted": ([("completed", RULE), ("deleted", {})], 0),
    "completed again": ([("completed", RULE), ("updated", {"completed": False, **RULE}), ("completed", {})], 1),
}


class History(unittest.TestCase):
    def without_recurring(self, directory):
        text = (ROOT / "config" / "millrace.yaml").read_text()
        start, end = text.index("  recurring:  "), text.index("  notification:  ")
        config = pathlib.Path(directory) / "config" / "millrace.yaml"
        config.parent.mkdir()
        config.write_text(text[:start] + text[end:])
        return config

    def keys_of_partitions(self, server):
        keys = {}
        for number in itertools.count():
            answer = server.publish("task-events", {"event_type": "noise", "user_id": "z", "task_id": "z"}, key=f"k{number}")
            keys.setdefault(answer["partition"], f"k{number}")
            if len(keys) == 3:
                return keys

    def timers(self, server):
        return sum(each["timers"] for each in server.get("/v1/handlers")["handlers"] if each["handler"] == "recurring")

    def test_what_lay_in_the_topic_ends_the_same_in_whatever_order_it_is_read(self):
        # Every history, written to the partitions in each order: which partition is read first is chance.
        with tempfile.TemporaryDirectory() as directory:
            expected, waiting = {}, {partition: [] for partition in range(3)}
            for (name, (steps, count)), partitions in itertools.product(HISTORIES.items(), itertools.permutations(range(3))):
                user = f"{name} {partitions}"
                expected[user] = [NEXT] * count
                for second, ((type, data), partition) in enumerate(zip(steps, partitions)):
                    waiting[partition].append(told(user, type, second, task_data={"title": "T", **data}))
            config = self.without_recurring(directory)
            with Millrace(f"server.schema_dir={ROOT / 'schemas'}", directory=directory, config=config) as server:
                server.wait_ready()
                keys = self.keys_of_partitions(server)
                for partition, events in waiting.items():
                    self.assertEqual(server.publish("task-events", *events, key=keys[partition])["rejected"], 0)
                self.assertEqual(server.stop(), 0)
            with Millrace(directory=directory) as server:
                server.wait_ready()
                wanted = {user: dues for user, dues in expected.items() if dues}
                wait(lambda: len(made(server)) >= len(wanted) and self.timers(server) == 0, "each next task")
                self.assertEqual(made(server), wanted)


class Updates(unittest.TestCase):
    def test_a_delta_in_each_of_its_forms_is_read(self):
        weekly, none = ["2036-12-08T09:00:00Z"], []
        cases = {
            "field: new": ({"changes": {"recurrence": "weekly"}}, weekly),
            "field: {old, new}": ({"changes": {"recurrence": {"old": "daily", "new": "weekly"}}}, weekly),
            "new is null": ({"changes": {"recurrence": {"old": "daily", "new": None}}}, none),
            "in data": ({"data": {"changes": {"recurrence": "weekly"}}}, weekly),
            "before and after": ({"payload": {"changed_fields": {"recurrence": {"before": "daily", "after": "weekly"}}}}, weekly),
            "due": ({"changes": {"due_date": {"old": RULE["due_date"], "new": "2036-12-03T09:00:00"}}}, ["2036-12-04T09:00:00Z"]),
            "not recurring any more": ({"task_data": {"title": "T", "is_recurring": False, "recurrence": "daily"}}, none),
            "an old copy": ({"previous": {"recurrence": None}, "title": "T"}, [NEXT]),
        }
        with Millrace() as server:
            server.wait_ready()
            for name, (update, _) in cases.items():
                server.publish("task-events", told(name, "created", 0, task_data={"title": "T", **RULE}))
                server.publish("task-events", told(name, "updated", 1, **update))
                server.publish("task-events", told(name, "completed", 2, task_data={"title": "T"}))
            server.wait_idle()
            self.assertEqual(made(server), {name: dues for name, (_, dues) in cases.items() if dues})


class Limits(unittest.TestCase):
    def rule(self, minutes, seconds):
        times = (("HOUR", range(24)), ("MINUTE", minutes), ("SECOND", seconds))
        parts = ";".join(f"BY{part}={','.join(map(str, values))}" for part, values in times)
        return f"FREQ=YEARLY;COUNT=100000;BYSETPOS=-1;BYDAY=MO,TU,WE,TH,FR,SA,SU;{parts}"

    def test_a_costly_rule_from_the_year_one_holds_nobody_up(self):
        rule = self.rule(range(0, 60, 5), [59])
        with Millrace() as server:
            server.wait_ready()
            server.publish("task-events", event("heavy", "1", "completed", due_date="0001-01-01T00:00:00Z", recurrence={"rule": rule}))
            every_second = {"rule": self.rule(range(60), range(60))}
            server.publish("task-events", event("refused", "1", "completed", due_date="0001-01-01T00:00:00Z", recurrence=every_second))
            for number in range(20):
                server.publish("task-events", event(f"user {number}", "1", "completed", **RULE))
            server.wait_idle()
            self.assertEqual(len(made(server)), 21)
            self.assertNotIn("refused", made(server))
            asked = time.monotonic()
            answer = server.query("recurring", "preview", rule=urllib.parse.quote(rule), start="0001-01-01T00:00:00", count=1000)
            self.assertLess(time.monotonic() - asked, 10)
            self.assertEqual(len(answer["occurrences"]), 1000)

    def test_users_and_tasks_with_the_longest_ids_get_their_next_task_and_their_reminder(self):
        with Millrace() as server:
            server.wait_ready()
            user, task = "u" * 1024, "t" * 1024
            server.publish("task-events", event(user, task, "completed", **RULE))
            server.publish("reminders", {"event_id": str(uuid.uuid4()), "event_type": "reminder.due", "timestamp": now(), "user_id": user,
                                         "task_id": task, "title": "T"})
            server.wait_idle()
            self.assertEqual(made(server), {user: [NEXT]})
            self.assertEqual([each["user_id"] for each in server.events("task-updates")], [user])
            self.assertEqual(server.query("notification", "timers")["items"], [])


if __name__ == "__main__":
    unittest.main()
