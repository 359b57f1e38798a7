"""The floors of the house: who may include whom, which folder may touch which foreign library, what the server links.

Lower floors know nothing of higher ones. Each foreign library is touched in its own folder, so that it can be replaced there.
A handler is a file that the server loads: nothing of it is built in.
"""
import os
import pathlib
import re
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVER = ROOT / "server"
PLUGINS = ROOT / "plugins"
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?P<quote>[<"])(?P<name>[^>"]+)[>"]', re.MULTILINE)

# Floor -> the floors it may include besides itself. `main.cpp` stands on cli.
FLOORS = {
    "core": [],
    "events": ["core"],
    "transport": ["core", "events"],
    "engine": ["core", "events", "transport"],
    "plugins": ["core", "events", "transport", "engine"],
    "gateway": ["core", "events", "transport", "engine"],
    "cli": ["core", "events", "transport", "engine", "plugins", "gateway"],
}
# Inside a floor: the core's services know nothing of configuration and SQLite, a transport nothing of another one.
APART = [
    ("core/config", "core/sqlite"), ("core/sqlite", "core/config"),
    ("transport/embedded", "transport/kafka"), ("transport/kafka", "transport/embedded"),
    ("engine", "transport/embedded"), ("engine", "transport/kafka"),
    ("gateway", "transport/embedded"), ("gateway", "transport/kafka"),
]

# Foreign header -> where it may be included.
FOREIGN = {
    r"librdkafka/": ["transport/kafka"],
    r"sqlite3(ext)?\.h$": ["core/sqlite"],
    r"dlfcn\.h$": ["plugins/library"],
    r"yaml-cpp/": ["core/config"],
    r"boost/beast": ["gateway"],
    r"openssl/(ssl|err|x509)": ["gateway"],
    r"spdlog/": ["core/"],
    r"prometheus/": ["core/"],
    r"CLI/": ["cli/"],
    r"date/": [],
    r"millrace/": ["plugins/"],
}
# A plugin is foreign code: the SDK, the standard library, and what its own CMakeLists.txt names.
NOT_IN_PLUGINS = r"(librdkafka/|dlfcn\.h|yaml-cpp/|boost/|spdlog/|prometheus/|fmt/|CLI/)"
SQLITE_IN_PLUGINS = ["sdk/testing"]
# Used where it is there, and done without where it is not.
FMT_IN_PLUGINS = ["sdk/include/millrace/detail/format.hpp"]


def sources(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in (".hpp", ".cpp", ".h", ".c"))


def includes(path):
    """(line, quote, name) of every #include."""
    text = path.read_text()
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match["quote"], match["name"]


def floor_faults(relative, line, name):
    """What is wrong with an include of `name`, one of the server's own headers, in server/`relative`."""
    here, there = relative.parts[0], name.partition("/")[0]
    allowed = ["cli"] if relative.name == "main.cpp" and len(relative.parts) == 1 else [here, *FLOORS.get(here, [])]
    where = f"server/{relative}:{line}: {name}"
    if there not in allowed:
        return [f"{where}: {here} may include {', '.join(allowed)}"]
    return [f"{where}: {upper} knows nothing of {lower}" for upper, lower in APART
            if str(relative).startswith(upper) and name.startswith(lower + "/")]


def foreign_faults(relative, line, name):
    return [f"server/{relative}:{line}: <{name}> belongs to {', '.join(folders) or 'plugins, not to the server'}"
            for pattern, folders in FOREIGN.items()
            if re.match(pattern, name) and not any(str(relative).startswith(folder) for folder in folders)]


class Floors(unittest.TestCase):
    maxDiff = None

    def test_every_folder_of_the_server_is_a_floor_or_named_here(self):
        folders = {path.name for path in SERVER.iterdir() if path.is_dir()}
        self.assertEqual(folders, set(FLOORS))

    def test_no_floor_includes_a_higher_one(self):
        faults = []
        for path in sources(SERVER):
            relative = path.relative_to(SERVER)
            for line, quote, name in includes(path):
                if quote == '"':
                    faults += floor_faults(relative, line, name)
        self.assertEqual(faults, [])

    def test_an_own_header_is_included_by_its_path_from_the_server_folder(self):
        faults = [f"{path.relative_to(ROOT)}:{line}: {name}" for path in sources(SERVER)
                  for line, quote, name in includes(path) if quote == '"' and not (SERVER / name).exists()]
        self.assertEqual(faults, [])

    def test_a_foreign_library_is_included_in_its_folder_only(self):
        faults = []
        for path in sources(SERVER):
            for line, _, name in includes(path):
                faults += foreign_faults(path.relative_to(SERVER), line, name)
        self.assertEqual(faults, [])

    def test_a_plugin_includes_neither_the_server_nor_its_libraries(self):
        faults = []
        for path in sources(PLUGINS):
            relative = path.relative_to(PLUGINS)
            for line, quote, name in includes(path):
                outside = quote == '"' and not any((folder / name).exists() for folder in (path.parent, PLUGINS))
                sqlite = name == "sqlite3.h" and not any(str(relative).startswith(place) for place in SQLITE_IN_PLUGINS)
                fmt = name.startswith("fmt/") and str(relative) in FMT_IN_PLUGINS
                if outside or sqlite or (re.match(NOT_IN_PLUGINS, name) and not fmt):
                    faults.append(f"plugins/{relative}:{line}: {name}")
        self.assertEqual(faults, [])

    def test_the_abi_needs_two_headers_of_c_and_nothing_else(self):
        names = [name for _, _, name in includes(PLUGINS / "sdk" / "include" / "millrace" / "abi.h")]
        self.assertEqual(names, ["stddef.h", "stdint.h"])

    def test_a_plugin_includes_no_other_plugin(self):
        folders = {path.parent for path in PLUGINS.rglob("CMakeLists.txt")} - {PLUGINS, PLUGINS / "sdk"}
        faults = []
        for folder in folders:
            for path in sources(folder):
                for line, quote, name in includes(path):
                    places = [path.parent / name, PLUGINS / name]
                    found = next((place.resolve() for place in places if place.exists()), None)
                    if quote == '"' and found and not found.is_relative_to(folder):
                        faults.append(f"{path.relative_to(ROOT)}:{line}: {name}")
        self.assertEqual(faults, [])


class TheRulesThemselves(unittest.TestCase):
    """A rule that lets everything through would pass for ever."""

    def test_they_find_an_include_that_goes_up(self):
        self.assertTrue(floor_faults(pathlib.Path("events/record.hpp"), 1, "engine/lane.hpp"))
        self.assertTrue(floor_faults(pathlib.Path("gateway/hub.hpp"), 1, "plugins/host.hpp"))
        self.assertTrue(floor_faults(pathlib.Path("engine/group.cpp"), 1, "transport/kafka/client.hpp"))
        self.assertFalse(floor_faults(pathlib.Path("engine/group.cpp"), 1, "transport/transport.hpp"))

    def test_they_find_a_foreign_header_outside_its_folder(self):
        self.assertTrue(foreign_faults(pathlib.Path("engine/shard.cpp"), 1, "sqlite3.h"))
        self.assertTrue(foreign_faults(pathlib.Path("plugins/host.cpp"), 1, "dlfcn.h"))
        self.assertFalse(foreign_faults(pathlib.Path("core/sqlite/database.cpp"), 1, "sqlite3.h"))

    def test_they_read_includes_in_any_spelling(self):
        found = [match["name"] for match in INCLUDE.finditer('#include <a.h>\n  #  include "b/c.hpp"  // why\n//#include <d.h>\n')]
        self.assertEqual(found, ["a.h", "b/c.hpp"])


class TheBuild(unittest.TestCase):
    """What the linker was told and made: release, the build that script/test makes first."""

    def setUp(self):
        self.build = pathlib.Path(os.environ.get("MILLRACE_TEST_BUILD", ROOT / "build" / "release"))
        if not (self.build / "millrace").exists():
            self.skipTest("the server is not built: script/build")

    def test_no_file_of_a_handler_is_linked_into_the_server(self):
        answer = subprocess.run(["ninja", "-C", str(self.build), "-t", "inputs", "millrace"], capture_output=True, text=True, check=True)
        handlers = [line for line in answer.stdout.splitlines()
                    if re.search(r"(^|/)plugins/(?!sdk/include)[^ ]*\.(cpp|c|o|so|a)$", line) and "server/plugins/" not in line]
        self.assertEqual(handlers, [])

    def test_every_plugin_exports_one_symbol_and_needs_nothing_of_the_server(self):
        modules = sorted((self.build / "plugins").glob("*.so"))
        self.assertTrue(modules, "no plugin is built")
        for module in modules:
            with self.subTest(module.name):
                table = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", str(module)],
                                       capture_output=True, text=True, check=True).stdout
                self.assertEqual(len(table.splitlines()), 1, table)


if __name__ == "__main__":
    unittest.main()
