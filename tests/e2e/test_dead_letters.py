"""Dead letters from the command line: listed, shown, given back to the handler that failed, put aside."""
import json
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import ROOT, Millrace, wait  # noqa: E402

# What no strict topic takes: the ids are numbers.
LOOSE = [{"event_type": "task.created", "task_id": n, "user_id": 7, "task_data": {"title": f"task {n}"}} for n in range(3)]


def config(folder, mode, handlers):
    file = pathlib.Path(folder) / f"{mode}-{len(handlers)}.yaml"
    file.write_text(f"server: {{schema_dir: {ROOT / 'schemas'}}}\n"
                    f"topics: {{task-events: {{schema: task-event, mode: {mode}, partitions: 1}}}}\nhandlers: {handlers}\n")
    return file


class DeadLetters(unittest.TestCase):
    """A topic that took what its handler refuses: written while the topic was tolerant, read while it is strict."""

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="millrace-e2e-"))
        with self.server("tolerant", "{}") as server:
            server.publish("task-events", *LOOSE)

    def server(self, mode, handlers="{audit: {topics: [task-events]}}"):
        return Millrace(directory=self.folder, config=config(self.folder, mode, handlers))

    def letters(self, server, *filters):
        done = server.cli("dlq", "list", "task-events", "--json", *filters)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["items"]

    def wait_for_letters(self, server, count=len(LOOSE), *filters):
        return wait(lambda: (found := self.letters(server, *filters)) and len(found) == count and found, f"{count} dead letters")

    def test_list_and_show_say_what_failed_where_and_why(self):
        with self.server("strict") as server:
            letters = self.wait_for_letters(server)
            self.assertEqual([(each["class"], each["handler"], each["topic"], each["partition"], each["offset"]) for each in letters],
                             [("schema", "audit", "task-events", 0, n) for n in range(3)])
            table = server.cli("dlq", "list", "task-events-dlq").stdout
            self.assertIn(letters[1]["id"], table)
            self.assertIn("task-events/0 1", table)
            shown = server.cli("dlq", "show", "task-events", "--id", letters[1]["id"])
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertIn(json.dumps(LOOSE[1]), shown.stdout)
            self.assertNotIn(json.dumps(LOOSE[2]), shown.stdout)
            self.assertEqual(self.letters(server, "--user", "8"), [])
            self.assertEqual(len(self.letters(server, "--limit", "2")), 2)
            self.assertEqual(server.cli("dlq", "show", "task-events", "--id", "none").returncode, 1)

    def test_redrive_gives_them_to_the_handler_that_failed_and_they_are_open_no_longer(self):
        with self.server("strict") as server:
            self.wait_for_letters(server)
            server.stop()
        with self.server("tolerant") as server:
            server.wait_ready()
            self.assertEqual(server.audit(), [])
            plan = server.cli("dlq", "redrive", "task-events", "--dry-run")
            self.assertEqual(plan.returncode, 0, plan.stderr)
            self.assertIn("3 would be redriven", plan.stdout)
            done = server.cli("dlq", "redrive", "task-events")
            self.assertEqual((done.returncode, done.stdout), (0, "3 redriven, 0 failed\n"), done.stderr)
            wait(lambda: len(server.audit()) == 3, "the events in the audit")
            self.assertEqual(sorted(item["offset"] for item in server.audit()), [0, 1, 2])
            self.assertEqual(self.letters(server), [])
            self.assertEqual({each["state"] for each in self.letters(server, "--all")}, {"redriven"})
            again = server.cli("dlq", "redrive", "task-events", "--all", "--json")
            self.assertEqual(json.loads(again.stdout)["done"], 3)
            server.wait_idle()
            self.assertEqual(len(server.audit()), 3, "given back twice, applied once")

    def test_a_redrive_that_fails_again_is_one_new_letter_and_not_an_endless_redrive(self):
        with self.server("strict") as server:
            self.wait_for_letters(server)
            done = server.cli("dlq", "redrive", "task-events", "--rate", "1000")
            self.assertEqual(done.stdout, "3 redriven, 0 failed\n", done.stderr)
            again = self.wait_for_letters(server)
            self.assertEqual({each["redrives"] for each in again}, {1})
            self.assertEqual([each["offset"] for each in again], [0, 1, 2])

    def test_what_was_redriven_survives_a_kill_right_after_the_answer(self):
        with self.server("strict") as server:
            self.wait_for_letters(server)
            server.stop()
        with self.server("tolerant") as server:
            server.wait_ready()
            self.assertEqual(server.cli("dlq", "redrive", "task-events").stdout, "3 redriven, 0 failed\n")
            server.kill()
            server.start()
            server.wait_ready()
            wait(lambda: len(server.audit()) == 3, "the events in the audit")
            self.assertEqual(self.letters(server), [])

    def test_discard_puts_aside_and_remembers_it(self):
        with self.server("strict") as server:
            first, *_ = self.wait_for_letters(server)
            done = server.cli("dlq", "discard", "task-events", "--id", first["id"])
            self.assertEqual((done.returncode, done.stdout), (0, "1 discarded, 0 failed\n"), done.stderr)
            server.kill()
            server.start()
            server.wait_ready()
            self.assertEqual(len(self.letters(server)), 2)
            self.assertEqual(sorted(each["state"] for each in self.letters(server, "--all")), ["discarded", "open", "open"])

    def test_exit_codes_tell_wrong_usage_from_failure(self):
        with self.server("strict") as server:
            self.assertEqual(server.cli("dlq").returncode, 2)
            self.assertEqual(server.cli("dlq", "list", "task-events", "--limit", "x").returncode, 2)
            unknown = server.cli("dlq", "list", "nope")
            self.assertEqual(unknown.returncode, 1)
            self.assertIn("task-events", unknown.stderr)
            self.assertEqual(server.cli("dlq", "list", "task-events", "--from", "yesterday").returncode, 1)


if __name__ == "__main__":
    unittest.main()
