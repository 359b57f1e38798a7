"""What was produced and what became of it: the events of a round, and the check of the whole history against them.

Every event has a number and a fate (ledger.cpp). Two handlers take all of them: `ledger` (state by user) writes a row and publishes
an event for each, `audit` (state by partition) keeps each. Log, dead letters, offsets and state files are read by other programs than
the server: kcat, aiokafka, sqlite3.
"""
import asyncio
import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
import uuid

import aiokafka
import aiokafka.admin

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
BROKERS = os.environ.get("MILLRACE_TEST_BROKERS")
HANDLERS = ("ledger", "audit")
USERS = 60
FATES = {"ok": 93, "retry": 2, "later": 2, "dead": 3}
DUPLICATED = 0.02  # of those that are no dead letters, which the dedupe ring does not keep
DISTANCE = 200  # of an event's second copy, at most


@dataclasses.dataclass
class Event:
    number: int
    user: str
    partition: int
    fate: str
    line: bytes


def make_events(first, count, partitions):
    """In the order in which they are produced: a user's on one partition, some of them twice."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    placed = []
    for number, fate in enumerate(random.choices(list(FATES), FATES.values(), k=count), first):
        user = random.randrange(USERS)
        value = {"event_id": str(uuid.uuid4()), "schema_version": 1, "event_type": "created", "timestamp": stamp, "task_id": str(number),
                 "user_id": f"u{user}", "task_data": {"title": fate}}
        event = Event(number, f"u{user}", user % partitions, fate, f"u{user}\t{json.dumps(value)}\n".encode())
        placed.append((number, event))
        if fate != "dead" and random.random() < DUPLICATED:
            placed.append((number + random.randrange(1, DISTANCE) + 0.5, event))
    return [event for _, event in sorted(placed, key=lambda each: each[0])]


@contextlib.asynccontextmanager
async def admin():
    client = aiokafka.admin.AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def read_effects(topic):
    """(key, event) of every record, by kcat."""
    form = "%k\x1f%s\x1e"
    done = subprocess.run(["kcat", "-b", BROKERS, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-f", form], capture_output=True, check=True, timeout=120)
    for record in done.stdout.split(b"\x1e")[:-1]:
        key, value = record.decode().split("\x1f")
        yield key, json.loads(value)


async def read_letters(topic, partitions):
    """The headers of every record: their bytes are anything."""
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=BROKERS, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([aiokafka.TopicPartition(topic, partition) for partition in range(partitions)])
        ends = await consumer.end_offsets(consumer.assignment())
        found = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [dict(record.headers) for record in records]
        return found
    finally:
        await consumer.stop()


class Log:
    """The topic of a round, and which event is at each of its offsets."""

    def __init__(self, partitions=4):
        self.prefix = f"kill-{uuid.uuid4().hex[:12]}"
        self.topic = f"{self.prefix}-events"
        self.effects = f"{self.prefix}-effects"
        self.dead_letters = f"{self.topic}-dlq"
        self.partitions = partitions
        self.events = {}  # by number
        self.records = [[] for _ in range(partitions)]  # numbers, by offset
        self._producers = []
        asyncio.run(self._create())

    async def _create(self):
        async with admin() as client:
            await client.create_topics([aiokafka.admin.NewTopic(name, self.partitions, 1) for name in (self.topic, self.effects, self.dead_letters)])

    def delete(self):
        async def remove():
            async with admin() as client:
                await client.delete_topics([self.topic, self.effects, self.dead_letters])
        asyncio.run(remove())

    def produce(self, count):
        """Begins to write so many more events, a kcat for each partition; `produced` waits for them."""
        self.produced()  # one after the other, or the offsets would not be known
        events = make_events(len(self.events), count, self.partitions)
        self.events.update({event.number: event for event in events})
        for partition, records in enumerate(self.records):
            mine = [event for event in events if event.partition == partition]
            records += [event.number for event in mine]
            lines = tempfile.TemporaryFile()
            lines.writelines(event.line for event in mine)
            lines.seek(0)
            self._producers.append(subprocess.Popen(
                ["kcat", "-b", BROKERS, "-P", "-t", self.topic, "-p", str(partition), "-K", "\t", "-X", "enable.idempotence=true"],
                stdin=lines, stderr=subprocess.DEVNULL))

    def stream(self):
        """Producers that write while they are told to: a function that takes how many events more, and 0 to end."""
        producers = [subprocess.Popen(["kcat", "-b", BROKERS, "-P", "-t", self.topic, "-p", str(partition), "-K", "\t", "-X", "enable.idempotence=true"],
                                      stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) for partition in range(self.partitions)]

        def write(count):
            for event in make_events(len(self.events), count, self.partitions):
                self.events[event.number] = event
                self.records[event.partition].append(event.number)
                producers[event.partition].stdin.write(event.line)
            for producer in producers:
                producer.stdin.flush() if count else producer.stdin.close()
            if not count:
                self._producers += producers
        return write

    def produced(self):
        for producer in self._producers:
            if producer.wait(120) != 0:
                raise AssertionError(f"kcat ended with {producer.returncode}")
        self._producers.clear()

    def total(self):
        return sum(len(records) for records in self.records)

    def committed(self):
        """What each handler's group has committed, by partition, as the broker tells a foreign client."""
        async def ask():
            async with admin() as client:
                return {handler: await client.list_consumer_group_offsets(f"{self.prefix}.{handler}") for handler in HANDLERS}
        answer = asyncio.run(ask())
        return {handler: {where.partition: max(0, what.offset) for where, what in offsets.items()} for handler, offsets in answer.items()}

    def config(self, cluster=None, **properties):
        """A configuration for this log, as YAML (which JSON is)."""
        topic = {"partitions": self.partitions, "schema": "task-event", "dead_letter": self.dead_letters}
        whole = {
            "server": {"plugin_dirs": [str(BUILD / "plugins"), str(BUILD / "kill")], "schema_dir": str(ROOT / "schemas")},
            "transport": "kafka",
            "kafka": {"brokers": BROKERS, "group_prefix": self.prefix, "properties": {name.replace("_", "."): value for name, value in properties.items()}},
            "topics": {self.topic: topic, self.effects: {"partitions": self.partitions}},
            "handlers": {
                "ledger": {"plugin": "ledger", "topics": [self.topic], "config": {"effects": self.effects}},
                "audit": {"plugin": "audit", "topics": [self.topic]},
            },
        }
        return json.dumps(whole | ({"cluster": cluster} if cluster else {}))


@dataclasses.dataclass
class State:
    """The rows of one installation's state files, each shard's in the order in which they were written."""
    ledger: list  # of shards, of (kind, user, number, offset, microseconds)
    audit: list  # of shards, of (user, number, partition, offset)


def read_state(data):
    """From copies: what is looked at is what the server finds at its next start."""
    with tempfile.TemporaryDirectory(prefix="millrace-kill-") as folder:
        handlers = pathlib.Path(shutil.copytree(data / "handlers", pathlib.Path(folder) / "handlers"))
        ledger = "SELECT kind, user, CAST(task AS INTEGER), offset, at FROM effects ORDER BY sequence"
        audit = "SELECT user_id, CAST(task_id AS INTEGER), partition, offset FROM events ORDER BY sequence"
        return State(rows_of(handlers / "ledger", ledger), rows_of(handlers / "audit", audit))


def rows_of(folder, query):
    shards = []
    for file in sorted(folder.glob("*.db")):
        if file.name == "handler.db" or file.name.endswith(".index.db"):
            continue
        with contextlib.closing(sqlite3.connect(file)) as database:
            if database.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('effects', 'events')").fetchone()[0]:
                shards.append(database.execute(query).fetchall())
    return shards


@dataclasses.dataclass
class Findings:
    """Faults, all of which must be none, and what may be: the same event id or dead letter sent again, and what another installation
    did once more."""
    lost: list = dataclasses.field(default_factory=list)
    repeated: list = dataclasses.field(default_factory=list)  # effects
    disordered: list = dataclasses.field(default_factory=list)
    committed_too_far: list = dataclasses.field(default_factory=list)
    unexpected: list = dataclasses.field(default_factory=list)
    elsewhere: int = 0
    events_again: int = 0
    letters_again: int = 0

    FAULTS = ("lost", "repeated", "disordered", "committed_too_far", "unexpected")

    def faults(self):
        return {name: getattr(self, name)[:5] for name in self.FAULTS if getattr(self, name)}

    def add(self, other):
        for name in self.FAULTS:
            getattr(self, name).extend(getattr(other, name))
        self.elsewhere += other.elsewhere
        self.events_again += other.events_again
        self.letters_again += other.letters_again


class History:
    """Everything that is to be seen from outside at one moment at which the server does not move."""

    def __init__(self, log, states):
        self.log = log
        self.committed = log.committed()  # before the rest: it may only grow
        self.states = states
        self.effects = list(read_effects(log.effects))
        self.letters = collections.Counter(
            (headers["millrace-handler"].decode(), int(headers["millrace-partition"]), int(headers["millrace-offset"]))
            for headers in asyncio.run(read_letters(log.dead_letters, log.partitions)))
        self.count()

    def count(self):
        self.rows_of = [collections.Counter((kind, number) for shard in state.ledger for kind, _, number, _, _ in shard) for state in self.states]
        self.kept_of = [collections.Counter(number for shard in state.audit for _, number, _, _ in shard) for state in self.states]
        self.rows = collections.Counter(what for rows in self.rows_of for what in rows)
        self.kept = collections.Counter(number for kept in self.kept_of for number in kept)
        self.told = collections.defaultdict(list)  # (kind, number) -> event ids
        for _, effect in self.effects:
            self.told[effect["kind"], int(effect["of"])].append(effect["event_id"])

    def check(self, finished=False):
        found = Findings()
        self._check_effects(found)
        self._check_order(found)
        self._check_commits(found)
        self._check_letters(found)
        if finished:
            self._check_complete(found)
        return found

    def _check_effects(self, found):
        for where, counts in (("ledger", self.rows_of), ("audit", self.kept_of)):
            found.repeated += [f"{times} rows of {what} in the {where}" for each in counts for what, times in each.items() if times > 1]
        found.elsewhere += sum(times - 1 for counts in (self.rows, self.kept) for times in counts.values())
        owners = {}
        for what, ids in self.told.items():
            # A timer that two installations set has a due time, and so ids, of its own in each.
            if len(set(ids)) > (self.rows[what] if what[0] == "timer" else 1):
                found.repeated.append(f"{what} was told with {len(set(ids))} different ids")
            if what not in self.rows:
                found.unexpected.append(f"{what} was told and is not in the ledger")
            if owners.setdefault(ids[0], what) != what:
                found.unexpected.append(f"{what} and {owners[ids[0]]} have the same event id")
            found.events_again += len(ids) - 1
        for kind, number in self.rows:
            fate = self.log.events[number].fate
            if fate == "dead" or (kind == "timer" and fate != "later"):
                found.unexpected.append(f"a row of {kind} {number}, whose fate is {fate}")

    def _check_order(self, found):
        """By offset, a user's being all of one partition: of a number that was sent twice another installation may have seen the second."""
        for state in self.states:
            for shard in state.ledger:
                found.disordered += falling(((user, offset) for kind, user, _, offset, _ in shard if kind == "record"), "the ledger")
            for shard in state.audit:
                found.disordered += falling(((user, offset) for user, _, _, offset in shard), "the audit")
        seen = set()
        first = []
        for key, effect in self.effects:
            if effect["kind"] == "record" and effect["of"] not in seen:
                seen.add(effect["of"])
                first.append((key, int(effect["of"])))
        found.disordered += falling(first, "the topic of effects")

    def _check_commits(self, found):
        """Nothing below a committed offset is unresolved: not its rows, its event, its dead letter."""
        for partition, numbers in enumerate(self.log.records):
            for offset, number in enumerate(numbers[:self.committed["ledger"].get(partition, 0)]):
                if self.log.events[number].fate == "dead":
                    resolved = self.letters[("ledger", partition, offset)] > 0
                else:
                    resolved = self.rows["record", number] > 0 and bool(self.told["record", number])
                if not resolved:
                    found.committed_too_far.append(f"ledger: partition {partition} offset {offset}, number {number}")
            for offset, number in enumerate(numbers[:self.committed["audit"].get(partition, 0)]):
                if not self.kept[number]:
                    found.committed_too_far.append(f"audit: partition {partition} offset {offset}, number {number}")

    def _check_letters(self, found):
        found.letters_again += sum(self.letters.values()) - len(self.letters)
        for handler, partition, offset in self.letters:
            if handler != "ledger" or self.log.events[self.log.records[partition][offset]].fate != "dead":
                found.unexpected.append(f"a dead letter of {handler} for partition {partition} offset {offset}")

    def _check_complete(self, found):
        for number, event in self.log.events.items():
            if not self.kept[number]:
                found.lost.append(f"{number} is not in the audit")
            if event.fate == "dead":
                continue
            for kind in ("record", "timer") if event.fate == "later" else ("record",):
                if not self.rows[kind, number]:
                    found.lost.append(f"{kind} {number} is not in the ledger")
                if not self.told[kind, number]:
                    found.lost.append(f"{kind} {number} was not told")
        for partition, numbers in enumerate(self.log.records):
            for offset, number in enumerate(numbers):
                if self.log.events[number].fate == "dead" and not self.letters[("ledger", partition, offset)]:
                    found.lost.append(f"{number} is not among the dead letters")
            for handler in HANDLERS:
                if self.committed[handler].get(partition, 0) != len(numbers):
                    found.lost.append(f"{handler}: partition {partition} is committed to {self.committed[handler].get(partition)} of {len(numbers)}")


def falling(pairs, where):
    """What comes after a higher one of the same user."""
    highest = {}
    faults = []
    for user, one in pairs:
        if one < highest.get(user, -1):
            faults.append(f"{user}: {one} after {highest[user]} in {where}")
        highest[user] = max(one, highest.get(user, -1))
    return faults
