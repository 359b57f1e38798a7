"""`millrace plugin`: what is in a plugin, and a project for a new one; without any server."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import BINARY  # noqa: E402

PLUGINS = BINARY.parent / "plugins"
FILES = ["CMakeLists.txt", "README.md", "task-count.cpp", "task-count_test.cpp"]


def plugin(*arguments, folder=None):
    return subprocess.run([str(BINARY), "plugin", *map(str, arguments)], capture_output=True, text=True, timeout=30, cwd=folder)


class Inspect(unittest.TestCase):
    def test_people_read_options_with_defaults_and_limits_and_questions(self):
        done = plugin("inspect", PLUGINS / "notification.so")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^notification 1\.0\.0: Delivers reminders")
        self.assertRegex(done.stdout, r"\ninterface +1\.0; this server speaks 1\.0\n")
        self.assertRegex(done.stdout, r"\nsymbols +millrace_plugin\n")
        self.assertRegex(done.stdout, r"\nlate_after +duration +24h +1s to 366d +a reminder that is read later")
        self.assertRegex(done.stdout, r"\nheaders +list, secret +none ")
        self.assertRegex(done.stdout, r"\ntimers +user, limit +The reminders to come")

    def test_programs_read_the_same(self):
        sheet = json.loads(plugin("inspect", PLUGINS / "recurring.so", "--json").stdout)
        self.assertEqual((sheet["name"], sheet["interface"], sheet["state"]), ("recurring", "1.0", "per user, version 2"))
        options = {option["name"]: option for option in sheet["options"]}
        self.assertEqual(options["catch_up"]["limits"], "skip, every")
        self.assertEqual(options["settle"]["default"], "2s")
        questions = {question["name"]: question["parameters"] for question in sheet["questions"]}
        self.assertEqual(questions["series"], ["user", "limit"])

    def test_a_file_that_the_server_would_refuse_is_refused_with_the_reason(self):
        with tempfile.NamedTemporaryFile(suffix=".so") as wrong:
            done = plugin("inspect", wrong.name)
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"{wrong.name}: refused (not_elf): ", done.stderr)
            answer = json.loads(plugin("inspect", wrong.name, "--json").stdout)
            self.assertEqual(answer["rejected"]["reason"], "not_elf")


class List(unittest.TestCase):
    def test_the_plugins_of_the_directories_are_listed_and_what_is_wrong_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder) / "hello.so").symlink_to(PLUGINS / "hello.so")
            (pathlib.Path(folder) / "zz.so").write_text("nothing")
            done = plugin("list", "--plugin-dir", folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = done.stdout.splitlines()
            self.assertRegex(lines[1], r"^hello +1\.0\.0 +1\.0 +per user, version 1 ")
            self.assertIn("zz.so: refused (not_elf)", lines[2])
            listed = json.loads(plugin("list", "--plugin-dir", folder, "--json").stdout)
            self.assertEqual([each["name"] for each in listed["plugins"]], ["hello"])
            self.assertEqual(len(listed["rejected_plugins"]), 1)


class New(unittest.TestCase):
    def test_a_project_is_written_and_never_over_another(self):
        with tempfile.TemporaryDirectory() as folder:
            done = plugin("new", "task-count", folder=folder)
            self.assertEqual(done.returncode, 0, done.stderr)
            project = pathlib.Path(folder) / "task-count"
            self.assertEqual(sorted(path.name for path in project.iterdir()), FILES)
            self.assertIn("MILLRACE_PLUGIN(TaskCountHandler)", (project / "task-count.cpp").read_text())
            self.assertFalse([path for path in project.iterdir() if "@" in path.read_text()])
            (project / "task-count.cpp").write_text("mine")
            again = plugin("new", "task-count", folder=folder)
            self.assertEqual(again.returncode, 1)
            self.assertIn("./task-count is there already", again.stderr)
            self.assertEqual((project / "task-count.cpp").read_text(), "mine")

    def test_a_name_that_cannot_be_one_is_refused_and_nothing_written(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("", "Hello", "1st", "-x", "a/b", "../x", "a b", "a.b", "ä", "x" * 65, "test", "all"):
                done = plugin("new", "--", name, folder=folder)
                self.assertEqual(done.returncode, 2, name)
                self.assertIn(f"'{name}': ", done.stderr)
            self.assertEqual(list(pathlib.Path(folder).iterdir()), [])


if __name__ == "__main__":
    unittest.main()
