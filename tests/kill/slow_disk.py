"""slow_disk.py [--events N]: what a slow disk costs the audit handler: throughput and latency with 0, 2 and 10 ms added to each sync.

    tests/integration/kafka/broker run -- build/venv/.../python tests/kill/slow_disk.py

MILLRACE_SYNC_DELAY adds the delay to every sync that SQLite or the server asks for, checkpoints included. Throughput: the time in which
a topic that was full at the start is processed. Latency, at 1,000 events a second: from the beginning of a batch until it is durable
(millrace_commit_seconds), which is when its offsets may be committed.
"""
import argparse
import json
import pathlib
import re
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from history import Log  # noqa: E402
from support.millrace import Millrace, wait  # noqa: E402

DELAYS_MS = (0, 2, 10)
RATE = 1000
SECONDS = 15
PATIENCE = 300


def buckets(server):
    """Upper bound -> observations up to it, of the audit's commits."""
    text = server.request("/metrics")[2]
    found = re.findall(r'millrace_commit_seconds_bucket\{([^}]*)\} (\d+)', text)
    return {float(re.search(r'le="([^"]+)"', labels)[1].replace("+Inf", "inf")): int(count) for labels, count in found if 'handler="audit"' in labels}


def quantile(before, after, share):
    """By linear interpolation inside the bucket, in milliseconds."""
    counts = {bound: after[bound] - before.get(bound, 0) for bound in sorted(after)}
    target = share * max(counts.values())
    low, below = 0.0, 0
    for bound, count in counts.items():
        if count >= target:
            return 1000 * (low if bound == float("inf") else low + (bound - low) * (target - below) / max(1, count - below))
        low, below = bound, count
    return float("nan")


def position(server):
    return sum(row["position"] or 0 for row in server.handler("audit")["partitions"])


def measure(delay, events):
    log = Log(partitions=4)
    with tempfile.TemporaryDirectory(prefix="millrace-slow-") as folder:
        config = json.loads(log.config())
        del config["handlers"]["ledger"]
        file = pathlib.Path(folder) / "slow.yaml"
        file.write_text(json.dumps(config))
        log.produce(events)
        log.produced()
        server = Millrace(directory=folder, config=file, environment={"MILLRACE_SYNC_DELAY": f"{delay}ms"})
        with server:
            first = wait(lambda: position(server), "a first record", PATIENCE)
            started = time.monotonic()
            wait(lambda: position(server) == log.total(), "all records", PATIENCE)
            rate = (log.total() - first) / (time.monotonic() - started)
            before = buckets(server)
            flow(log)
            wait(lambda: position(server) == log.total(), "all records", PATIENCE)
            after = buckets(server)
    log.delete()
    batches = max(after.values()) - max(before.values())
    print(f"| {delay} ms | {rate:,.0f}/s | {quantile(before, after, 0.5):.1f} ms | {quantile(before, after, 0.99):.1f} ms | {batches / SECONDS:.0f}/s |", flush=True)


def flow(log):
    write = log.stream()
    started, sent = time.monotonic(), 0
    while (now := time.monotonic() - started) < SECONDS:
        due = int(now * RATE) - sent
        if due > 0:
            write(due)
            sent += due
        threading.Event().wait(0.005)
    write(0)
    log.produced()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--events", type=int, default=200_000)
    given = arguments.parse_args()
    print("| added to each sync | throughput | half of the batches durable within | 99 % | batches |\n|---|---|---|---|---|")
    for delay in DELAYS_MS:
        measure(delay, given.events)


if __name__ == "__main__":
    main()
