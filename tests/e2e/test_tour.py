"""The main job on the embedded transport, as a user sees it."""
import datetime
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import ROOT, Millrace, Stream, event, now, wait  # noqa: E402


def samples(topic):
    printed = subprocess.run([str(ROOT / "script" / "sample-events"), topic], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in printed.splitlines()]


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append((json.loads(body), self.headers["Idempotency-Key"]))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def webhook(*answers):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.received, server.answers = [], list(answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    return server


class Tour(unittest.TestCase):
    def test_the_sixteen_samples_end_in_next_tasks_reminders_audit_rows_and_deltas(self):
        with Millrace() as server:
            server.wait_ready()
            stream, other = Stream(server, "user-123"), Stream(server, "nobody")
            self.addCleanup(stream.close)
            self.addCleanup(other.close)
            for topic in ("task-events", "reminders", "task-updates"):
                answer = server.publish(topic, *samples(topic))
                self.assertEqual(answer["rejected"], 0)
            server.wait_idle()
            created = [e for e in server.events("task-events") if e.get("event_type") == "created" and e.get("schema_version") == 1]
            self.assertEqual(sorted(e["user_id"] for e in created), ["7", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "9", "u", "u8", "user-123"])
            stored = {item["event_id"] for item in server.audit()}
            self.assertLessEqual({e["event_id"] for e in created}, stored)
            # 14 samples of the two audited topics, and the next tasks.
            self.assertEqual(len(server.audit()), 14 + len(created))
            summary = server.query("audit", "summary")
            self.assertEqual(summary["events"], 14 + len(created))
            self.assertEqual(sum(row["missing"] for row in summary["partitions"]), 0)
            delta = wait(lambda: [e for e in stream.events if e["data"].get("event_id") == "be9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b14"], "the delta")
            self.assertEqual(delta[0]["data"]["changes"], {"title": "Water all plants"})
            deliveries = server.query("notification", "deliveries", user="7")["items"]
            self.assertEqual(len(deliveries), 1)
            self.assertEqual(other.events, [])

    def test_samples_sent_twice_have_their_effects_once(self):
        with Millrace() as server:
            server.wait_ready()
            sent = {topic: samples(topic) for topic in ("task-events", "reminders")}
            for _ in range(2):
                for topic, events in sent.items():
                    server.publish(topic, *[e for e in events if "event_id" in e or "id" in e])
                server.wait_idle()
            created = [e for e in server.events("task-events") if e.get("event_type") == "created" and e.get("schema_version") == 1]
            self.assertEqual(len(created), 6)
            self.assertEqual(len(server.query("notification", "deliveries", user="7")["items"]), 1)

    def test_completing_again_and_again_creates_one_next_task(self):
        with Millrace() as server:
            server.wait_ready()
            for _ in range(3):
                server.publish("task-events", event("u", "t", "completed", due_date=now(-60), recurrence={"rule": "daily"}))
                server.publish("task-events", event("u", "t", "updated", due_date=now(-60), recurrence={"rule": "daily"}))
            server.wait_idle()
            created = [e for e in server.events("task-events") if e["event_type"] == "created"]
            self.assertEqual(len(created), 1)
            due = datetime.datetime.fromisoformat(created[0]["task_data"]["due_date"].replace("Z", "+00:00"))
            self.assertGreater(due, datetime.datetime.now(datetime.timezone.utc))
            self.assertEqual(len(server.query("recurring", "series", user="u")["items"]), 1)

    def test_a_scheduled_reminder_reaches_the_webhook_and_the_screen_at_its_time(self):
        hook = webhook(503)
        self.addCleanup(hook.server_close)
        self.addCleanup(hook.shutdown)
        with Millrace(f"handlers.notification.config.webhook_url={hook.url}") as server:
            server.wait_ready()
            stream = Stream(server, "u")
            self.addCleanup(stream.close)
            server.publish("reminders", {"event_id": "11111111-2222-4333-8444-555555555555", "schema_version": 1, "timestamp": now(), "task_id": "t",
                                         "user_id": "u", "title": "Water", "due_at": now(60), "remind_at": now(2)})
            self.assertEqual(wait(lambda: server.query("notification", "timers", user="u")["items"], "the timer")[0]["task_id"], "t")
            self.assertEqual(hook.received, [])
            wait(lambda: len(hook.received) == 2, "the second try")
            self.assertEqual(hook.received[0], hook.received[1])
            self.assertEqual(hook.received[0][0]["title"], "Water")
            wait(lambda: any(e["data"].get("event_type") == "reminder" for e in stream.events), "the reminder on the screen")
            server.wait_idle()
            self.assertEqual(len(hook.received), 2)

    def test_completing_a_task_cancels_its_reminder(self):
        with Millrace() as server:
            server.wait_ready()
            server.publish("reminders", {"event_id": "11111111-2222-4333-8444-555555555556", "schema_version": 1, "timestamp": now(), "task_id": "t",
                                         "user_id": "u", "title": "Water", "remind_at": now(3600)})
            wait(lambda: server.query("notification", "timers", user="u")["items"], "the timer")
            server.publish("task-events", event("u", "t", "completed"))
            wait(lambda: not server.query("notification", "timers", user="u")["items"], "the cancellation")


class Crashes(unittest.TestCase):
    def test_a_server_killed_again_and_again_loses_and_repeats_nothing(self):
        with Millrace() as server:
            server.wait_ready()
            sent = []
            for round_ in range(4):
                batch = [event(f"u{i % 7}", f"{round_}-{i}", "completed", due_date=now(-60), recurrence={"rule": "daily"}) for i in range(300)]
                server.publish("task-events", *batch)
                sent += [e["event_id"] for e in batch]
                server.kill()
                server.start()
            server.wait_ready()
            server.wait_idle()
            summary = server.query("audit", "summary")
            self.assertEqual(summary["events"], 2 * len(sent), "each event and its next task, once")
            self.assertEqual(sum(row["missing"] for row in summary["partitions"]), 0)
            created = [e for e in server.events("task-events") if e["event_type"] == "created"]
            # A next task may be in the log twice, when the server died before it knew that it was there: as one event.
            self.assertEqual(len({e["task_id"] for e in created}), len(sent))
            self.assertEqual(len({e["event_id"] for e in created}), len(sent))

    def test_a_timer_survives_sigkill(self):
        with Millrace() as server:
            server.wait_ready()
            server.publish("reminders", {"event_id": "11111111-2222-4333-8444-555555555557", "schema_version": 1, "timestamp": now(), "task_id": "t",
                                         "user_id": "u", "title": "Water", "remind_at": now(3)})
            wait(lambda: server.query("notification", "timers", user="u")["items"], "the timer")
            server.kill()
            server.start()
            wait(lambda: server.request("/v1/handlers/notification/deliveries?user=u")[0] == 200 and server.query("notification", "deliveries", user="u")["items"], "the delivery")

    def test_sigterm_drains_and_exits_with_zero(self):
        with Millrace() as server:
            server.wait_ready()
            server.publish("task-events", *[event("u", str(i)) for i in range(500)])
            self.assertEqual(server.stop(), 0)
            server.start()
            server.wait_ready()
            server.wait_idle()
            self.assertEqual(server.query("audit", "summary")["events"], 500)


class Poison(unittest.TestCase):
    def test_what_cannot_be_read_is_refused_at_the_door_with_its_line(self):
        with Millrace() as server:
            server.wait_ready()
            good = json.dumps(event("u", "1"))
            status, _, text = server.request("/v1/topics/task-events/events", "POST", f"{good}\nnot json\n{good}\n", {"Content-Type": "application/x-ndjson"}, base=server.http)
            self.assertEqual(status, 207)
            answer = json.loads(text)
            self.assertEqual((answer["accepted"], answer["rejected"]), (2, 1))
            self.assertIn("error", answer["results"][1])

    def test_what_is_too_large_is_refused_at_the_door_and_its_neighbours_are_taken(self):
        with Millrace() as server:
            server.wait_ready()
            good, large = json.dumps(event("u", "1")), json.dumps(event("u", "2", description="x" * (2 << 20)))
            status, _, text = server.request("/v1/topics/task-events/events", "POST", f"[{good},{large},{good}]", {"Content-Type": "application/json"}, base=server.http)
            self.assertEqual(status, 207)
            self.assertEqual([result.get("error", {}).get("status") for result in json.loads(text)["results"]], [None, 413, None])
            server.wait_idle()
            self.assertEqual([row["task_id"] for row in server.audit()], ["1"])

    def test_an_unknown_version_is_skipped_and_counted(self):
        with Millrace() as server:
            server.wait_ready()
            server.publish("task-events", {**event("u", "1"), "schema_version": 9}, event("u", "2"))
            server.wait_idle()
            self.assertEqual([item["task_id"] for item in server.audit()], ["2"])
            self.assertEqual(sum(row["skipped"] for row in server.query("audit", "summary")["partitions"]), 1)
            self.assertIn('millrace_records_total{handler="audit",outcome="skipped",topic="task-events"} 1', server.request("/metrics")[2])


if __name__ == "__main__":
    unittest.main()
