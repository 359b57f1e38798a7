#!/usr/bin/env python3
"""Compares our JSON Schema validator with python3-jsonschema: the shipped schemas over events that were made wrong in a place
or two, and random schemas of the documented subset over random values.

Usage: compare.py DRIVER SCHEMA_DIRECTORY [CASES] [SEED]. Exit 0: all equal, 1: they differ (the first cases are shown),
77: no jsonschema.

Formats are judged by checkers of our own here, written after RFC 9562 and RFC 3339: jsonschema's need packages that Debian
does not install with it.
"""
import calendar
import copy
import glob
import json
import os
import random
import re
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("skipped: python3-jsonschema is not installed")
    sys.exit(77)

DIGITS = "0123456789"
checker = jsonschema.FormatChecker(formats=())


def is_day(year, month, day):
    return 1 <= month <= 12 and 1 <= day <= calendar._monthlen(year, month)


@checker.checks("date")
def is_date(value):
    if not isinstance(value, str):
        return True
    match = re.fullmatch(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", value)
    return bool(match) and is_day(*(int(part) for part in match.groups()))


@checker.checks("date-time")
def is_date_time(value):
    if not isinstance(value, str):
        return True
    match = re.fullmatch(
        r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]+)?"
        r"([Zz]|[+-]([0-9]{2}):([0-9]{2}))", value)
    if not match or not is_date(match[1]):
        return False
    hour, minute, second = int(match[2]), int(match[3]), int(match[4])
    offset = match[7] is None or (int(match[7]) <= 23 and int(match[8]) <= 59)
    return hour <= 23 and minute <= 59 and second <= 60 and offset


@checker.checks("uuid")
def is_uuid(value):
    pattern = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    return not isinstance(value, str) or bool(re.fullmatch(pattern, value))


TEXTS = ["", "a", "ab", "abc", "é", "日本", "x" * 70, "7d9f1c1e-3b1a-4c57-9a5e-0f6d2d6a7b10",
         "7D9F1C1E-3B1A-4C57-9A5E-0F6D2D6A7B10", "7d9f1c1e3b1a4c579a5e0f6d2d6a7b10", "2026-02-10",
         "2026-02-30", "2024-02-29", "2026-11-23T03:05:43Z", "2026-11-23T03:05:43.123+01:00",
         "2026-11-23T03:05:43", "2026-11-23 03:05:43Z", "2026-11-23T03:05Z", "2026-11-23T24:00:00Z",
         "2026-11-23t03:05:60z", "2026-11-23T03:05:43,5Z", "2026-11-23T03:05:43+0100", "created",
         "deleted", "daily"]
NUMBERS = [0, 1, -1, 2, 3, 1.0, 1.5, -0.5, 2.0, 10000, 10001, 2**53, 2**63, 2**64 - 1, 1e10, 1e300]
NAMES = ["a", "b", "title", "x/y", "~", "é"]


def value_of(source, depth=3):
    kind = source.randrange(8 if depth else 5)
    if kind == 0:
        return None
    if kind == 1:
        return source.random() < 0.5
    if kind == 2:
        return source.choice(NUMBERS)
    if kind in (3, 4):
        return source.choice(TEXTS)
    if kind == 5:
        return [value_of(source, depth - 1) for _ in range(source.randrange(4))]
    return {name: value_of(source, depth - 1) for name in source.sample(NAMES, source.randrange(4))}


def type_of(source):
    types = ["null", "boolean", "integer", "number", "string", "array", "object"]
    return source.choice(types) if source.random() < 0.6 else source.sample(types, source.randint(1, 3))


def schema_of(source, depth=3):
    if source.random() < 0.07:
        return source.random() < 0.7
    inner = (lambda: schema_of(source, depth - 1)) if depth else (lambda: {"type": type_of(source)})
    makers = {
        "type": lambda: type_of(source),
        "enum": lambda: [value_of(source, 1) for _ in range(source.randint(1, 3))],
        "const": lambda: value_of(source, 1),
        "properties": lambda: {name: inner() for name in source.sample(NAMES, source.randint(1, 3))},
        "required": lambda: source.sample(NAMES, source.randint(1, 2)),
        "additionalProperties": inner,
        "items": inner,
        "anyOf": lambda: [inner() for _ in range(source.randint(1, 3))],
        "minLength": lambda: source.randrange(4),
        "maxLength": lambda: source.randrange(6),
        "minItems": lambda: source.randrange(3),
        "maxItems": lambda: source.randrange(3),
        "minimum": lambda: source.choice([-1, 0, 1, 1.5, 2**53]),
        "maximum": lambda: source.choice([0, 1, 2.5, 10000, 2**63]),
        "format": lambda: source.choice(["uuid", "date-time", "date"]),
        "$ref": lambda: "#/$defs/" + source.choice(["one", "two"]),
    }
    names = source.sample(sorted(makers), source.randint(1, 3))
    return {name: makers[name]() for name in names}


def with_definitions(source):
    schema = schema_of(source)
    if not isinstance(schema, dict):
        schema = {"items": schema}
    schema["$defs"] = {"one": {"type": type_of(source)}, "two": {"minLength": 1, "minimum": 1, "minItems": 1}}
    return schema


def places(value, path=()):
    yield path
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in members:
        yield from places(member, path + (name,))


def spoiled(source, event):
    event = copy.deepcopy(event)
    path = source.choice([path for path in places(event) if path])
    holder = event
    for name in path[:-1]:
        holder = holder[name]
    if source.random() < 0.3:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value_of(source, 2)
    return event


TIME = "2026-11-23T03:05:43Z"
COMMON = {"event_id": TEXTS[7], "schema_version": 1, "timestamp": TIME, "task_id": "42", "user_id": "u"}
CANONICAL = {
    "task-event.v1": COMMON | {"event_type": "completed", "task_data": {
        "title": "T", "description": None, "completed": True, "priority": "low", "tags": ["a"], "due_date": TIME,
        "recurrence": {"rule": "daily", "interval": 2, "timezone": "UTC", "until": "2026-12-31"}}},
    "reminder-event.v1": COMMON | {"event_type": "due", "title": "T", "due_at": TIME, "remind_at": None},
    "task-update-event.v1": COMMON | {"event_type": "updated", "changes": {"title": "T"}},
}


def cases_of(source, directory, count):
    for path in sorted(glob.glob(os.path.join(directory, "*.json"))):
        with open(path, encoding="utf-8") as file:
            schema = json.load(file)
        event = CANONICAL.get(os.path.basename(path)[:-5], {})
        yield schema, [event] + [spoiled(source, spoiled(source, event) if source.random() < 0.3 else event)
                                 for _ in range(count if event else 0)]
    for _ in range(count):
        yield with_definitions(source), [value_of(source) for _ in range(12)]


def main():
    driver, directory = sys.argv[1], sys.argv[2]
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 2000
    source = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 11)
    lines, expected = [], []
    for schema, values in cases_of(source, directory, count):
        lines.append("S" + json.dumps(schema))
        expected.append("ok")
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        for value in values:
            lines.append("V" + json.dumps(value))
            expected.append("valid" if validator.is_valid(value) else "wrong")
    text = "\n".join(lines) + "\n"
    answers = subprocess.run([driver], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(answers) == len(lines), f"{len(answers)} answers for {len(lines)} lines"
    different, schema = [], ""
    for line, answer, wanted in zip(lines, answers, expected):
        schema = line if line[0] == "S" else schema
        verdict = answer if answer in ("ok", "valid") else "wrong"
        if verdict != wanted:
            different.append(f"{schema}\n  {line}\n  ours: {answer}\n  jsonschema: {wanted}")
    print("\n".join(different[:10]))
    valid = expected.count("valid")
    print(f"{len(lines)} cases compared ({valid} valid), {len(different)} differ")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
