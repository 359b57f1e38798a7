"""The command line, and what a server refuses to start with."""
import json
import os
import pathlib
import pty
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import BINARY, ROOT, Millrace, event, now, wait  # noqa: E402


def millrace(*arguments, environment=None):
    return subprocess.run([str(BINARY), *arguments], capture_output=True, text=True, timeout=30, env=environment)


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Millrace()).wait_ready()

    def test_publish_says_how_many_were_confirmed_and_which_line_was_not(self):
        lines = json.dumps(event("u", "1")) + "\nnope\n" + json.dumps(event("u", "2")) + "\n"
        done = self.server.cli("publish", "task-events", "-", input=lines)
        self.assertEqual(done.returncode, 1)
        self.assertIn("2 confirmed, 1 rejected", done.stdout)
        self.assertIn("stdin:2:", done.stderr)

    def test_tail_shows_a_topic_and_stops_after_the_count(self):
        self.server.publish("task-events", event("tailed", "1"))
        done = self.server.cli("tail", "task-events", "--from", "earliest", "--user", "tailed", "--count", "1", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["user_id"], "tailed")

    def test_a_tail_of_less_than_one_record_is_wrong_usage(self):
        for count in ("0", "-1", "x"):
            done = self.server.cli("tail", "task-events", "--count", count)
            self.assertEqual(done.returncode, 2, count)
            self.assertIn("--count", done.stderr)

    def test_the_version_answers_people_and_programs(self):
        version = json.loads(millrace("version", "--json").stdout)["version"]
        self.assertEqual(millrace("version").stdout, f"millrace {version}\n")

    def test_an_answer_without_items_is_lines_and_tables_on_a_terminal(self):
        self.server.publish("task-events", event("summed", "1"))
        lines = self.on_terminal("query", "audit", "summary").splitlines()
        self.assertRegex(lines[0], r"^events: [0-9]+$")
        self.assertRegex(lines[1], r"^topic +partition +first +last +stored +skipped +dead_lettered +missing$")
        self.assertTrue(any(line.startswith("task-events ") for line in lines[2:]), lines)

    def on_terminal(self, *arguments):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "MILLRACE_SERVER": self.server.admin, "MILLRACE_ADMIN_TOKEN": self.server.token}
        with open(ours, "rb", buffering=0) as screen:
            with open(theirs, "wb", buffering=0) as terminal:
                done = subprocess.run([str(BINARY), *arguments], stdout=terminal, stderr=subprocess.PIPE, env=environment, timeout=30)
            self.assertEqual(done.returncode, 0, done.stderr)
            shown = b""
            while True:
                try:
                    part = screen.read(65536)
                except OSError:  # the other side is closed
                    break
                if not part:
                    break
                shown += part
        return shown.decode().replace("\r\n", "\n")

    def test_lists_and_questions_answer_people_and_programs(self):
        self.assertIn("task-events", self.server.cli("topics", "list").stdout)
        self.assertIn("audit", self.server.cli("handlers", "list").stdout)
        self.assertEqual({each["handler"] for each in json.loads(self.server.cli("handlers", "list", "--json").stdout)["handlers"]},
                         {"audit", "notification", "recurring", "websocket"})
        self.assertIn("items", json.loads(self.server.cli("query", "audit", "events", "limit=1").stdout))

    def test_an_unknown_topic_handler_or_question_names_the_known_ones(self):
        self.assertIn("task-events", self.server.cli("publish", "nope", "-", input="{}\n").stderr)
        self.assertIn("audit", self.server.cli("query", "nope", "x").stderr)
        self.assertIn("summary", self.server.cli("query", "audit", "nope").stderr)

    def test_a_mistyped_filter_of_a_question_is_refused_with_those_there_are(self):
        for handler, question, known in (("audit", "events", "user"), ("audit", "summary", "none"), ("recurring", "series", "user"),
                                         ("recurring", "preview", "zone"), ("notification", "timers", "user"),
                                         ("notification", "deliveries", "user")):
            done = self.server.cli("query", handler, question, "usr=7")
            self.assertEqual(done.returncode, 1)
            self.assertIn("no parameter 'usr'", done.stderr)
            self.assertIn(known, done.stderr)

    def test_a_handler_is_replayed_and_restarted_by_command(self):
        self.server.publish("reminders", {"task_id": "t", "user_id": "r", "title": "x", "due_at": now(), "remind_at": now(3600)}, key="r")
        row = wait(lambda: next((r for r in self.server.handler("audit")["partitions"] if r["topic"] == "reminders" and r["position"]), None), "the audit")
        where = ("--topic", "reminders", "--partition", str(row["partition"]))
        before = len(self.server.audit(user="r"))
        done = self.server.cli("handlers", "replay", "audit", "--from", "0", *where)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"reminders/{row['partition']}: position", done.stdout)
        wait(lambda: len(self.server.audit(user="r")) == 2 * before, "the record once more")
        done = self.server.cli("handlers", "restart", "audit")
        self.assertEqual((done.returncode, done.stdout.splitlines()[0]), (0, "audit: running"), done.stderr)
        wait(lambda: len(self.server.audit(user="r")) == 2 * before, "nothing more")

    def test_a_handler_command_that_cannot_be_says_why(self):
        for arguments, said in ((("resume", "audit"), "nothing of handler audit is held"),
                                (("replay", "audit", "--from", "3"), "one partition"),
                                (("replay", "audit", "--from", "soon"), "earliest"),
                                (("replay", "audit", "--from", "earliest", "--topic", "nope"), "it reads:"),
                                (("replay", "websocket", "--from", "earliest"), "broadcast"),
                                (("restart", "nope"), "audit")):
            done = self.server.cli("handlers", *arguments)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn(said, done.stderr)
        for arguments in (("replay", "audit"), ("resume",), ("resume", "audit", "--accept", "--restart")):
            self.assertEqual(self.server.cli("handlers", *arguments).returncode, 2, arguments)

    def test_no_server_is_an_error_that_says_what_to_do(self):
        done = millrace("handlers", "list", "--server", "http://127.0.0.1:9")
        self.assertEqual(done.returncode, 1)
        self.assertIn("millrace serve", done.stderr)

    def test_a_second_server_on_the_same_data_is_refused(self):
        done = millrace("serve", "--config", str(ROOT / "config/millrace.yaml"), "--data-dir", str(self.server.directory / "data"),
                        "--set", "server.http=127.0.0.1:0", "--set", "server.admin=127.0.0.1:0")
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr)


class Start(unittest.TestCase):
    def test_what_is_sent_as_soon_as_it_is_ready_is_taken(self):
        with Millrace() as server:
            body = json.dumps(event("early", "1"))
            status, _, text = server.request("/v1/topics/task-events/events", "POST", body, {"Content-Type": "application/json"},
                                             base=server.http)
            self.assertEqual(status, 200, text)

    def test_with_the_brokers_away_it_is_there_and_says_why_it_is_not_ready(self):
        with Millrace("transport=kafka", "kafka.brokers=127.0.0.1:9") as server:
            self.assertEqual(server.request("/healthz", base=server.http)[0], 200)
            self.assertEqual(server.request("/readyz", base=server.http)[0], 503)


class Check(unittest.TestCase):
    def check(self, text, *arguments, command="check", environment=None):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "config.yaml"
            file.write_text(text)
            done = millrace(command, "--config", str(file), "--data-dir", f"{folder}/data",
                            "--set", f"server.schema_dir={ROOT / 'schemas'}", *arguments, environment=environment)
        done.stderr = done.stderr.replace(folder, "")
        return done

    def serve(self, text, *arguments, environment=None):
        """For what must be refused: the messages name the file as `check` names it."""
        return self.check(text, *arguments, command="serve", environment=environment)

    def test_the_shipped_configuration_is_good(self):
        with tempfile.TemporaryDirectory() as folder:
            done = millrace("check", "--config", str(ROOT / "config/millrace.yaml"), "--data-dir", f"{folder}/data")
            self.assertFalse(pathlib.Path(folder, "data").exists(), "check leaves nothing behind")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_an_unknown_key_is_refused_with_file_line_and_path(self):
        done = self.check("transport: embedded\nserver:\n  htpp: 127.0.0.1:0\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("config.yaml:3: server.htpp", done.stderr)
        self.assertIn("http", done.stderr)

    def test_a_plugins_bad_option_is_refused_with_file_line_and_path(self):
        done = self.check("topics:\n  t: {}\nhandlers:\n  audit:\n    plugin: audit\n    topics: [t]\n    config:\n      nonsense: 1\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("config.yaml:8: handlers.audit.config.nonsense", done.stderr)

    def test_what_a_plugin_itself_finds_wrong_is_refused_at_its_line(self):
        start = "topics:\n  t: {}\nhandlers:\n  x:\n    topics: [t]\n    plugin: %s\n    config:\n      %s\n"
        for plugin, option, place, expected in (
                ("recurring", "timezone: Mars/X", "timezone: is 'Mars/X'", "IANA"),
                ("notification", "webhook_url: gopher://x", "webhook_url: is 'gopher://x'", "http://"),
                ("notification", "headers: [sesame]", "headers[0]: is not of the right form", "'Name: value'")):
            text = start % (plugin, option)
            done = self.check(text)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"config.yaml:8: handlers.x.config.{place}, expected ", done.stderr)
            self.assertIn(expected, done.stderr)
            self.assertNotIn("sesame", done.stderr)
            refused = self.serve(text)
            self.assertEqual((refused.returncode, refused.stderr), (2, done.stderr))
            self.assertEqual(refused.stdout, "")

    def test_what_librdkafka_does_not_take_is_refused_with_its_line_or_variable(self):
        text = "transport: kafka\nkafka:\n  brokers: 127.0.0.1:9\n  properties:\n    %s\ntopics: {t: {}}\n"
        for line, what in (("no.such.prop: true", "no such property"), ("linger.ms: abc", "expected 0 .. 900000"),
                           ("security.protocol: BOGUS", "sasl_ssl"), ("sasl.mechanism: BOGUS", "SCRAM-SHA-256")):
            for command in ("check", "serve"):
                done = self.check(text % line, command=command)
                self.assertEqual(done.returncode, 2, line)
                self.assertIn(f"config.yaml:5: kafka.properties.{line.partition(':')[0]}: ", done.stderr)
                self.assertIn(what, done.stderr)
        for variable in ("KAFKA_SECURITY_PROTOCOL", "KAFKA_SASL_MECHANISM"):
            environment = {**os.environ, variable: "BOGUS"}
            done = self.check(text % "linger.ms: 1", environment=environment)
            self.assertEqual(done.returncode, 2, variable)
            self.assertIn(f"environment {variable}: kafka.properties.", done.stderr)
            # The environment's names never choose the transport: here they are for another program.
            self.assertEqual(self.check("topics: {t: {}}\n", environment=environment).returncode, 0)

    def test_what_comes_later_is_refused_like_any_unknown_key(self):
        for text in ("transport: dapr\n", "kafka: {security: {}}\n", "server: {tls: {}}\n", "gateway: {auth: {mode: jwt}}\n"):
            self.assertEqual(self.check(text).returncode, 2, text)

    def test_a_missing_plugin_names_those_there_are(self):
        done = self.check("topics:\n  t: {}\nhandlers:\n  x: {plugin: nope, topics: [t]}\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("audit", done.stderr)


if __name__ == "__main__":
    unittest.main()
