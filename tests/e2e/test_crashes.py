"""What a bad plugin can do to the real process, and what becomes of its records: it crashes, it does not return."""
import contextlib
import http.client
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import PATIENCE, ROOT, Millrace, event, wait  # noqa: E402

RELEASE = ROOT / "build" / "release"
STUCK = 3  # the exit code of a server that a handler has stuck
PLUGINS = f"server.plugin_dirs=[{RELEASE / 'plugins'},{RELEASE / 'test_plugins'}]"


def ask(how, user="u", task="poison"):
    return event(user, task, title=how)


class BadHandler(unittest.TestCase):
    @contextlib.contextmanager
    def server(self, *settings, waiting=()):
        """The handler `bad` beside the four that ship, with events that wait for it."""
        with Millrace(PLUGINS) as running:
            if waiting:
                running.wait_ready().publish("task-events", *waiting)
            running.stop()
            running.hang_while = running.directory / "hang"
            running.hang_while.touch()
            running.settings += ["handlers.bad.plugin=misbehaving", "handlers.bad.topics=[task-events]", "handlers.bad.retry.budget=1h",
                                 f"handlers.bad.config.hang_while={running.hang_while}", *settings]
            yield running.start()

    def start_again_after(self, running, code):
        """It ends by itself with this code."""
        self.assertEqual(running.process.wait(PATIENCE), code, running.log_text()[-2000:])
        running.kill()
        running.start()

    def tasks(self, running):
        return sorted(running.query("bad", "tasks")["items"])

    def stuck(self, running):
        return running.handler("bad")["stuck"]

    def quarantined_or_dead(self, running):
        if running.process.poll() is not None:
            return "dead"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return running.handler("bad")["state"] == "quarantined" and "quarantined"

    def test_a_record_that_crashes_the_process_is_dead_lettered_and_everything_else_is_processed_once(self):
        for how, number in (("segfault", signal.SIGSEGV), ("overflow", signal.SIGSEGV), ("abort", signal.SIGABRT)):
            events = [event(f"u{i}", f"before-{i}") for i in range(50)] + [ask(how), event("u", "behind")]
            with self.subTest(how), self.server(waiting=events) as running:
                for _ in range(3):
                    self.start_again_after(running, -number)
                running.publish("task-events", *[event(f"u{i}", f"after-{i}") for i in range(50)])
                running.wait_idle()
                letters = running.records("task-events-dlq")
                self.assertEqual(len(letters), 1)
                headers = {header["name"]: header["value"] for header in letters[0]["headers"]}
                self.assertEqual(headers["millrace-error-class"], "crash")
                self.assertEqual(headers["millrace-attempts"], "3")
                self.assertEqual(headers["millrace-handler"], "bad")
                self.assertIn(number.name, headers["millrace-error-message"])
                self.assertEqual(self.tasks(running), sorted([f"{when}-{i}" for when in ("before", "after") for i in range(50)] + ["behind"]))
                self.assertEqual(running.query("audit", "summary")["events"], 102)
                self.assertEqual(running.stop(), 0)

    def test_a_handler_that_crashes_at_different_positions_is_quarantined_and_the_others_run_on(self):
        with self.server(waiting=[ask("abort", f"u{i}", f"poison-{i}") for i in range(3)]) as running:
            # Which of them crashes is open; each can do so three times.
            for _ in range(7):
                if wait(lambda: self.quarantined_or_dead(running), "the next crash, or quarantine") == "quarantined":
                    break
                self.start_again_after(running, -signal.SIGABRT)
            bad = running.handler("bad")
            self.assertEqual(bad["state"], "quarantined")
            self.assertIn("at 3 different positions", bad["reason"])
            status, _, text = running.request("/readyz")
            self.assertEqual(status, 503)
            self.assertIn("handler bad is quarantined", text)
            self.assertIn('millrace_handler_state{handler="bad",state="quarantined"} 1', running.request("/metrics")[2])
            running.publish("task-events", event("u", "more"))
            wait(lambda: running.query("audit", "summary")["events"] == 4, "the audit of all four")
            self.assertEqual(running.stop(), 0)
            running.start()
            self.assertEqual(wait(lambda: self.quarantined_or_dead(running), "its state"), "quarantined")

    def test_sigkill_blames_nobody(self):
        with self.server("handlers.bad.timeout=200ms", waiting=[ask("hang", task="patient")]) as running:
            for _ in range(4):
                wait(lambda: self.stuck(running), "the call to be overdue")
                running.kill()
                running.start()
            running.kill()
            running.hang_while.unlink()
            running.start()
            running.wait_idle()
            self.assertEqual(self.tasks(running), ["patient"])
            self.assertEqual(running.records("task-events-dlq"), [])

    def test_while_a_call_does_not_return_other_shards_and_handlers_go_on(self):
        with self.server("handlers.bad.timeout=200ms", "handlers.bad.threads=2") as running:
            running.wait_ready()
            sent = running.publish("task-events", ask("hang"))
            stuck = wait(lambda: self.stuck(running), "the call to be overdue")[0]
            self.assertEqual((stuck["topic"], stuck["partition"], stuck["offset"]), ("task-events", sent["partition"], sent["offset"]))
            self.assertIn(f"has not returned since {stuck['since']}", running.request("/readyz")[2])
            running.publish("task-events", *[event(f"u{i}", f"meanwhile-{i}") for i in range(400)])
            wait(lambda: running.query("audit", "summary")["events"] == 401, "the audit of all")
            # Three of its four shards.
            answer = wait(lambda: (answer := running.query("bad", "tasks")) and len(answer["items"]) > 200 and answer, "what can go on")
            self.assertEqual(answer["shards"]["elsewhere"], [stuck["shard"]])
            running.kill()

    def test_when_all_its_threads_are_stuck_the_process_exits_to_be_started_again_and_loses_nothing(self):
        with self.server("handlers.bad.timeout=200ms", "handlers.bad.threads=1", "handlers.bad.stuck_exit=2s") as running:
            running.wait_ready()
            running.publish("task-events", event("u", "before"))
            running.wait_idle()
            running.publish("task-events", ask("hang"))
            wait(lambda: self.stuck(running), "the call to be overdue")
            running.publish("task-events", *[event(f"u{i}", f"behind-{i}") for i in range(100)])
            self.assertEqual(running.process.wait(PATIENCE), STUCK, running.log_text()[-2000:])
            self.assertIn("handler bad is stuck", running.log_text())
            running.kill()
            running.hang_while.unlink()
            running.start()
            running.wait_idle()
            self.assertEqual(self.tasks(running), sorted(["before", "poison"] + [f"behind-{i}" for i in range(100)]))
            self.assertEqual(running.query("audit", "summary")["events"], 102)
            self.assertEqual(running.records("task-events-dlq"), [])


if __name__ == "__main__":
    unittest.main()
