"""The server dies, stands still, or loses its broker (MILLRACE_TEST_BROKERS); the whole history is checked. rounds.py says how.

MILLRACE_KILL_ROUNDS (1) rounds of MILLRACE_KILL_EVENTS (3000) events for each fault; MILLRACE_CHURN_SECONDS (12) of servers that come
and go.
"""
import collections
import os
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
if not os.environ.get("MILLRACE_TEST_BROKERS"):
    raise unittest.SkipTest(os.environ.get("MILLRACE_TEST_BROKERS_UNAVAILABLE", "no broker: MILLRACE_TEST_BROKERS is not set"))

import churn  # noqa: E402
import rounds  # noqa: E402
from history import Event, History, Log, State  # noqa: E402
from support.millrace import Millrace, wait  # noqa: E402

ROUNDS = int(os.environ.get("MILLRACE_KILL_ROUNDS", 1))
CHURN_SECONDS = float(os.environ.get("MILLRACE_CHURN_SECONDS", 12))
EVENTS = int(os.environ.get("MILLRACE_KILL_EVENTS", 3000))


class Kill(unittest.TestCase):
    def survives(self, fault):
        results = [rounds.result_of(rounds.run_round(fault, EVENTS)) for _ in range(ROUNDS)]
        print(rounds.row(fault, results), flush=True)

    def test_killed_when_a_batch_has_come(self):
        self.survives("after_fetch")

    def test_killed_when_a_shard_has_taken_its_part(self):
        self.survives("after_claim")

    def test_killed_when_the_handler_has_returned(self):
        self.survives("in_handler")

    def test_killed_in_the_middle_of_a_commit(self):
        self.survives("in_commit")

    def test_killed_when_effects_are_committed(self):
        self.survives("after_effects_commit")

    def test_killed_when_a_dead_letter_is_written(self):
        self.survives("after_dead_letter_write")

    def test_killed_before_offsets_are_committed(self):
        self.survives("before_offset_commit")

    def test_killed_at_any_moment(self):
        self.survives("random")

    def test_stopped_until_its_session_has_expired(self):
        self.survives("stopped")

    @unittest.skipUnless("MILLRACE_TEST_BROKER_CONTROL" in os.environ, "the broker is not ours to stop")
    def test_the_broker_is_killed_and_started_again(self):
        self.survives("broker")


class Members(unittest.TestCase):
    def test_servers_that_come_and_go_lose_nothing_and_keep_the_order(self):
        found, figures = churn.run(CHURN_SECONDS, 400)
        print(figures, flush=True)
        self.assertEqual(found.faults(), {})
        self.assertGreaterEqual(figures["during"], 0.5)

    def test_a_second_server_waits_and_names_the_first(self):
        log = Log()
        self.addCleanup(log.delete)
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
            for folder in (one, two):
                (pathlib.Path(folder) / "kill.yaml").write_text(log.config(session_timeout_ms=2000, heartbeat_interval_ms=300))
            with Millrace(directory=one, config=pathlib.Path(one) / "kill.yaml") as first:
                first.wait_ready()
                with Millrace(directory=two, config=pathlib.Path(two) / "kill.yaml") as second:
                    wait(lambda: f"the group {log.prefix}.ledger has {log.prefix}.ledger." in second.request("/readyz")[2], "the reason")
                    self.assertEqual(second.request("/readyz")[0], 503)
                    self.assertIn("another server", second.handler("audit")["reason"])
                    self.assertEqual(first.request("/readyz")[0], 200)
                    first.stop()
                    second.wait_ready()


class SmallLog:
    """Two users on one partition: 0 and 2 are ok, 1 is dead, 3 fires once more from a timer."""

    def __init__(self):
        fates = ["ok", "dead", "ok", "later"]
        self.events = {number: Event(number, f"u{number % 2}", 0, fate, b"") for number, fate in enumerate(fates)}
        self.records = [[0, 1, 2, 3]]


def history(**changes):
    """Of a round in which all went well, but for the changes."""
    each = object.__new__(History)
    each.log = SmallLog()
    each.committed = {"ledger": {0: 4}, "audit": {0: 4}}
    each.states = [State([[("record", "u0", 0, 0, 0), ("record", "u0", 2, 2, 0), ("record", "u1", 3, 3, 0), ("timer", "u1", 3, -1, 0)]],
                         [[("u0", 0, 0, 0), ("u1", 1, 0, 1), ("u0", 2, 0, 2), ("u1", 3, 0, 3)]])]
    each.effects = [(f"u{number % 2}", {"kind": kind, "of": str(number), "event_id": f"{kind}-{number}"})
                    for kind, number in (("record", 0), ("record", 2), ("record", 3), ("timer", 3))]
    each.letters = collections.Counter({("ledger", 0, 1): 1})
    for name, change in changes.items():
        change(getattr(each, name))
    each.count()
    return each.check(finished=True)


class TheCheckItself(unittest.TestCase):
    """A check that finds nothing wrong with anything would pass for ever."""

    def assertFinds(self, kind, found):
        self.assertIn(kind, found.faults())

    def test_nothing_is_wrong_when_all_went_well(self):
        self.assertEqual(history().faults(), {})

    def test_what_may_be_sent_again_is_counted_only(self):
        found = history(effects=lambda effects: effects.append(effects[0]), letters=lambda letters: letters.update([("ledger", 0, 1)]))
        self.assertEqual((found.faults(), found.events_again, found.letters_again), ({}, 1, 1))

    def test_it_finds_what_is_lost(self):
        self.assertFinds("lost", history(effects=lambda effects: effects.pop()))
        self.assertFinds("lost", history(letters=lambda letters: letters.clear()))
        self.assertFinds("lost", history(states=lambda states: states[0].audit[0].pop()))
        self.assertFinds("lost", history(states=lambda states: states[0].ledger[0].pop()))
        self.assertFinds("lost", history(committed=lambda committed: committed["audit"].update({0: 3})))

    def test_it_finds_what_was_done_twice(self):
        self.assertFinds("repeated", history(states=lambda states: states[0].ledger[0].append(("record", "u1", 3, 3, 0))))
        self.assertFinds("repeated", history(states=lambda states: states[0].audit[0].append(("u1", 3, 0, 3))))
        self.assertFinds("repeated", history(effects=lambda effects: effects.append(("u0", {"kind": "record", "of": "2", "event_id": "other"}))))

    def test_it_finds_what_is_out_of_order(self):
        self.assertFinds("disordered", history(states=lambda states: states[0].ledger[0].insert(0, states[0].ledger[0].pop(1))))
        self.assertFinds("disordered", history(states=lambda states: states[0].audit[0].reverse()))
        self.assertFinds("disordered", history(effects=lambda effects: effects.insert(0, effects.pop(1))))

    def test_it_finds_a_commit_above_what_is_unresolved(self):
        self.assertFinds("committed_too_far", history(effects=lambda effects: effects.pop(0)))
        self.assertFinds("committed_too_far", history(letters=lambda letters: letters.clear()))
        self.assertFinds("committed_too_far", history(states=lambda states: states[0].audit[0].pop()))
        self.assertFinds("committed_too_far", history(states=lambda states: states[0].ledger[0].pop(0)))

    def test_it_finds_what_should_not_be_there(self):
        self.assertFinds("unexpected", history(states=lambda states: states[0].ledger[0].append(("record", "u1", 1, 1, 0))))
        self.assertFinds("unexpected", history(letters=lambda letters: letters.update([("audit", 0, 0)])))
        self.assertFinds("unexpected", history(effects=lambda effects: effects.append(("u1", {"kind": "record", "of": "1", "event_id": "x"}))))


if __name__ == "__main__":
    unittest.main()
