"""A plugin that does on the bare interface what its author should not: what each misdeed costs, and whom."""
import contextlib
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import ROOT, Millrace, Refused, event, wait  # noqa: E402

RELEASE = ROOT / "build" / "release"

# By an event's title: the class and the words of its dead letter.
DEAD = {
    "throws": ("handler", "an exception left it: thrown by the rogue"),
    "throws a number": ("handler", "an exception left it"),
    "returns 0": ("handler", "returned 0, which is no outcome"),
    "returns 99": ("handler", "returned 99, which is no outcome"),
    "pends after a write": ("handler", "returned pending after it had made effects"),
    "rolls back": ("handler", "took the whole transaction away"),
    "never completes": ("timeout", "not completed within"),
}
# Those whose effects commit, and how many services they were refused.
DONE = {"commits": 7, "writes host tables": 4, "uses services elsewhere": 1, "leaks": 0, "completes twice": 0, "completes garbage": 0, "is good": 0}


class Rogue(unittest.TestCase):
    @contextlib.contextmanager
    def server(self, *settings):
        plugins = f"server.plugin_dirs=[{RELEASE / 'plugins'},{RELEASE / 'test_plugins'}]"
        with Millrace(plugins, "handlers.rogue.plugin=rogue", "handlers.rogue.topics=[task-events]", "handlers.rogue.pending_timeout=300ms",
                      "handlers.rogue.retry.budget=500ms", "handlers.rogue.retry.initial=10ms", *settings) as running:
            yield running

    def rows(self, running):
        """The tasks that took effect, and how many the instances believe they have."""
        shards = running.query("rogue", "rows")["items"]
        return sorted(task for shard in shards for task in shard["tasks"]), sum(shard["in_memory"] for shard in shards)

    def test_each_misdeed_costs_its_own_record_and_nothing_else(self):
        with self.server() as running:
            running.wait_ready()
            misdeeds = [*DEAD, *DONE]
            for turn in range(3):  # good ones before, between and behind them, of the same users too
                running.publish("task-events", *[event(f"u{i}", f"good {turn} {i}", title="is good") for i in range(20)],
                                *[event(f"u{i}", f"{how} {turn}", title=how) for i, how in enumerate(misdeeds)])
            running.wait_idle()
            done = sorted([f"good {turn} {i}" for turn in range(3) for i in range(20)] + [f"{how} {turn}" for turn in range(3) for how in DONE])
            tasks, _ = self.rows(running)
            self.assertEqual(tasks, done)
            letters = {}
            for letter in running.get("/v1/admin/dead-letters/task-events?handler=rogue&limit=100")["items"]:
                letters.setdefault(letter["class"], []).append(letter["message"])
            self.assertEqual(sum(map(len, letters.values())), 3 * len(DEAD))
            for how, (error_class, words) in DEAD.items():
                self.assertTrue(any(words in message for message in letters[error_class]), f"{how}: {letters}")
            counted = dict(re.findall(r'millrace_plugin_(\w+)_total\{handler="rogue"\} (\d+)', running.request("/metrics")[2]))
            self.assertEqual(counted, {"refused": str(3 * sum(DONE.values()))})
            # The other handlers have seen everything.
            self.assertEqual(running.query("audit", "summary")["events"], 3 * (20 + len(misdeeds)))

    def test_a_question_that_throws_is_an_error_of_that_question(self):
        with self.server() as running:
            running.wait_ready()
            with self.assertRaisesRegex(Refused, "500 .*thrown by a question"):
                running.query("rogue", "throws")
            self.assertEqual(self.rows(running), ([], 0))

    def test_a_handler_that_cannot_be_made_is_tried_again_and_the_others_run(self):
        for how, words in (("throw", "an exception left it: thrown by create"), ("fail", "it gave no reason")):
            with self.subTest(how), self.server(f"handlers.rogue.config.create={how}") as running:
                reason = wait(lambda: running.handler("rogue")["state"] == "restarting" and running.handler("rogue")["reason"], "the restart")
                self.assertIn(words, reason)
                running.publish("task-events", event("u", "t", title="is good"))
                wait(lambda: len(running.audit()) == 1, "the audit")
                self.assertRegex(running.request("/readyz")[2], "rogue")


if __name__ == "__main__":
    unittest.main()
