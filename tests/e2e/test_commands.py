"""The command line, and what a server refuses to start with."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import BINARY, ROOT, Millrace, event  # noqa: E402


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

    def test_no_server_is_an_error_that_says_what_to_do(self):
        done = millrace("handlers", "list", "--server", "http://127.0.0.1:9")
        self.assertEqual(done.returncode, 1)
        self.assertIn("millrace serve", done.stderr)

    def test_a_second_server_on_the_same_data_is_refused(self):
        done = millrace("serve", "--config", str(ROOT / "config/millrace.yaml"), "--data-dir", str(self.server.directory / "data"),
                        "--set", "server.http=127.0.0.1:0", "--set", "server.admin=127.0.0.1:0")
        self.assertEqual(done.returncode, 1)
        self.assertIn("in use", done.stderr)


class Check(unittest.TestCase):
    def check(self, text, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "config.yaml"
            file.write_text(text)
            return millrace("check", "--config", str(file), "--data-dir", folder, "--set", f"server.schema_dir={ROOT / 'schemas'}", *arguments)

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

    def test_what_comes_later_is_refused_like_any_unknown_key(self):
        for text in ("transport: dapr\n", "kafka: {security: {}}\n", "server: {tls: {}}\n", "gateway: {auth: {mode: jwt}}\n"):
            self.assertEqual(self.check(text).returncode, 2, text)

    def test_a_missing_plugin_names_those_there_are(self):
        done = self.check("topics:\n  t: {}\nhandlers:\n  x: {plugin: nope, topics: [t]}\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn("audit", done.stderr)


if __name__ == "__main__":
    unittest.main()
