"""Plugins that come, change and go while the server runs, and a configuration that is read again."""
import collections
import contextlib
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import ROOT, Millrace, event, wait  # noqa: E402

VERSIONS = ROOT / "build" / "release" / "test_plugins"
CONFIG = """\
topics:
  task-events: {schema: task-event, partitions: 6}
handlers:
  journal: {plugin: journal, topics: [task-events]}
"""


class HotSwap(unittest.TestCase):
    @contextlib.contextmanager
    def server(self, config=CONFIG):
        with tempfile.TemporaryDirectory(prefix="millrace-swap-") as folder:
            self.plugins = pathlib.Path(folder) / "plugins"
            self.plugins.mkdir()
            self.config = pathlib.Path(folder) / "millrace.yaml"
            self.config.write_text(config)
            self.install(1)
            with Millrace(f"server.plugin_dirs=[{self.plugins}]", f"server.schema_dir={ROOT / 'schemas'}", config=self.config) as running:
                yield running.wait_ready()

    def install(self, version):
        """As a package manager does: written beside, then renamed."""
        part = self.plugins / ".journal.so.part"
        shutil.copy(VERSIONS / f"journal_{version}" / "journal.so", part)
        os.rename(part, self.plugins / "journal.so")

    def version(self, running):
        return running.handler("journal")["version"]

    def entries(self, running):
        return running.query("journal", "entries")["items"]

    def handlers(self, running):
        return [each["handler"] for each in running.get("/v1/handlers")["handlers"]]

    def test_a_new_version_takes_over_under_load_and_nothing_is_lost_repeated_or_out_of_order(self):
        with self.server() as running:
            stop = threading.Event()
            sent = collections.defaultdict(list)

            def publish():  # 5,000 events a second, of 97 users
                number = 0
                while not stop.is_set():
                    events = []
                    for _ in range(250):
                        user, task = f"u{number % 97}", str(number)
                        events.append(event(user, task))
                        sent[user].append(task)
                        number += 1
                    running.publish("task-events", *events)
                    stop.wait(0.05)
            publisher = threading.Thread(target=publish)
            publisher.start()
            try:
                wait(lambda: sum(map(len, sent.values())) > 2_000, "events")
                self.install(2)
                wait(lambda: self.version(running) == "2.0.0", "the swap")
                swapped = sum(map(len, sent.values()))
                wait(lambda: sum(map(len, sent.values())) > swapped + 2_000, "events after the swap")
            finally:
                stop.set()
                publisher.join()
            running.wait_idle()
            seen = collections.defaultdict(list)
            versions = collections.Counter()
            for entry in self.entries(running):
                seen[entry["user"]].append((entry["version"], entry["task"]))
                versions[entry["version"]] += 1
            self.assertEqual({user: [task for _, task in tasks] for user, tasks in seen.items()}, dict(sent))
            for tasks in seen.values():
                self.assertEqual([version for version, _ in tasks], sorted(version for version, _ in tasks))
            self.assertGreater(min(versions[1], versions[2]), 500)
            self.assertRegex(running.log_text(), r"journal 2\.0\.0 has taken over from 1\.0\.0: 4 shards in [\d.]+ ms")

    def test_versions_do_not_see_each_others_statics(self):
        with self.server() as running:
            running.publish("task-events", *[event("u", str(i)) for i in range(10)])
            running.wait_idle()
            self.install(2)
            wait(lambda: self.version(running) == "2.0.0", "the swap")
            running.publish("task-events", event("u", "first of the second"), event("u", "second"))
            running.wait_idle()
            self.assertEqual([entry["counted"] for entry in self.entries(running)], [*range(1, 11), 1, 2])

    def test_a_version_that_cannot_be_made_leaves_the_old_one_running_and_says_why(self):
        with self.server() as running:
            self.install(3)
            wait(lambda: "has no licence" in running.log_text(), "the refusal")
            running.publish("task-events", event("u", "a"))
            running.wait_idle()
            self.assertEqual(self.version(running), "1.0.0")
            (self.plugins / "journal.so").write_text("no plugin at all")
            wait(lambda: "not a shared object" in running.log_text(), "the rejection")
            running.publish("task-events", event("u", "b"))
            running.wait_idle()
            self.assertEqual([entry["task"] for entry in self.entries(running)], ["a", "b"])
            self.assertRegex(running.request("/metrics")[2], r'millrace_plugin_rejects_total\{reason="not_elf"\} 1')

    def test_a_file_that_goes_stops_its_handler_and_one_that_comes_starts_it_where_it_was(self):
        with self.server() as running:
            running.publish("task-events", event("u", "a"))
            running.wait_idle()
            (self.plugins / "journal.so").unlink()
            wait(lambda: not self.handlers(running), "the stop")
            running.publish("task-events", event("u", "b"))
            self.install(2)
            wait(lambda: self.handlers(running), "the start")
            running.wait_idle()
            self.assertEqual([(entry["task"], entry["version"]) for entry in self.entries(running)], [("a", 1), ("b", 2)])

    def test_a_plugin_that_says_what_it_reads_needs_no_configuration(self):
        with self.server(CONFIG.split("handlers:")[0]) as running:  # its file is there from the start
            self.assertEqual(self.handlers(running), ["journal"])
            running.publish("task-events", event("u", "a"))
            running.wait_idle()
            (self.plugins / "journal.so").unlink()
            wait(lambda: not self.handlers(running), "the stop")
            running.publish("task-events", event("u", "b"))
            self.install(2)
            wait(lambda: self.handlers(running), "the start")
            running.wait_idle()
            self.assertEqual([entry["task"] for entry in self.entries(running)], ["a", "b"])
            # As soon as a handler of the configuration uses it, that one alone does.
            self.config.write_text(CONFIG.replace("journal: {", "mine: {"))
            running.process.send_signal(signal.SIGHUP)
            wait(lambda: self.handlers(running) == ["mine"], "the configured one")

    def test_sighup_reads_the_configuration_again(self):
        with self.server() as running:
            self.config.write_text(CONFIG + "  second: {plugin: journal, topics: [task-events]}\n")
            running.process.send_signal(signal.SIGHUP)
            wait(lambda: self.handlers(running) == ["journal", "second"], "the second handler")
            running.publish("task-events", event("u", "a"))
            running.wait_idle()
            self.assertEqual(len(running.query("second", "entries")["items"]), 1)
            self.config.write_text(CONFIG.replace("partitions: 6", "partitions: 9"))
            status, _, answer = running.request("/v1/admin/reload", "POST")
            self.assertEqual(status, 200, answer)
            self.assertRegex(answer, re.escape('[{"handler":"second","did":"stopped"}],"needs_restart":["topics"]'))
            self.assertEqual(self.handlers(running), ["journal"])

    def test_a_wrong_configuration_changes_nothing(self):
        with self.server() as running:
            self.config.write_text(CONFIG.replace("plugin: journal", "plugin: journal, timeout: soon"))
            status, _, answer = running.request("/v1/admin/reload", "POST")
            self.assertEqual(status, 400)
            self.assertIn("millrace.yaml:4: handlers.journal.timeout", answer)
            running.publish("task-events", event("u", "a"))
            running.wait_idle()
            self.config.write_text(CONFIG.replace("plugin: journal", "plugin: journal, config: {colour: red}"))
            status, _, answer = running.request("/v1/admin/reload", "POST")
            self.assertEqual(status, 200, answer)
            self.assertIn('"did":"failed"', answer)
            self.assertIn("colour", answer)
            self.assertEqual(running.handler("journal")["state"], "running")


if __name__ == "__main__":
    unittest.main()
