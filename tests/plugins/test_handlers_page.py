"""docs/HANDLERS.md says what the plugins that ship say of themselves."""
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.millrace import BINARY, ROOT  # noqa: E402

SHIPPED = ["recurring", "notification", "audit", "websocket"]
HEAD = """# The handlers that ship

What each plugin says of itself: the options of its `config:` and the questions that `millrace query` and
`GET /v1/handlers/<handler>/<question>` ask it. Made by `python3 tests/plugins/test_handlers_page.py write`; a test holds it against the plugins.
"""


def section(name):
    file = BINARY.parent / "plugins" / f"{name}.so"
    return subprocess.run([str(BINARY), "plugin", "inspect", "--markdown", str(file)],
                          capture_output=True, text=True, timeout=30, check=True).stdout


def page():
    return HEAD + "".join("\n" + section(name) for name in SHIPPED)


class HandlersPage(unittest.TestCase):
    maxDiff = None

    def test_it_is_what_the_plugins_say(self):
        self.assertEqual((ROOT / "docs" / "HANDLERS.md").read_text(), page(), "make it again: python3 tests/plugins/test_handlers_page.py write")

    def test_every_plugin_that_ships_is_on_it(self):
        folders = {path.parent.name for path in (ROOT / "plugins").glob("*/CMakeLists.txt")} - {"sdk"}
        self.assertEqual(folders, set(SHIPPED))


if __name__ == "__main__":
    if sys.argv[1:] == ["write"]:
        (ROOT / "docs" / "HANDLERS.md").write_text(page())
    else:
        unittest.main()
