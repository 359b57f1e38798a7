"""A running server for tests: real binary, real plugins, the shipped configuration, free ports, a data directory that is removed.

    with Millrace() as server:
        server.publish("task-events", {...})
        server.wait(lambda: server.get("/v1/handlers/audit/events")["items"])
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = ROOT / "build" / "release" / "millrace"
PATIENCE = 30  # seconds until something that must happen counts as not happening


def event(user, task, type="created", **task_data):
    return {"event_id": str(uuid.uuid4()), "schema_version": 1, "event_type": type, "timestamp": now(), "task_id": task, "user_id": user,
            "task_data": {"title": f"task {task}", **task_data}}


def now(seconds=0):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def wait(predicate, what="it", seconds=PATIENCE):
    """The predicate's first true value. Asks often; fails when the time is over."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {seconds} s; last seen: {value!r}")
        threading.Event().wait(0.02)


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status} {body[:500]}")
        self.status = status
        self.body = json.loads(body) if body.startswith("{") else body


class Millrace:
    def __init__(self, *settings, directory=None, environment=None, config=None):
        self._own = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="millrace-e2e-"))
        self.settings = list(settings)
        self.environment = environment or {}
        self.config = config or ROOT / "config" / "millrace.yaml"
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        settings = ["server.http=127.0.0.1:0", "server.admin=127.0.0.1:0", *self.settings]
        arguments = [a for setting in settings for a in ("--set", setting)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "MILLRACE_", "DAPR_", "USE_DAPR"))}
        self.log = open(self.directory / "server.log", "ab")
        self.process = subprocess.Popen(
            [str(BINARY), "serve", "--config", str(self.config), "--data-dir", str(self.directory / "data"), *arguments],
            stdout=subprocess.PIPE, stderr=self.log, env={**environment, **self.environment}, text=True)
        line = self.process.stdout.readline()
        found = re.fullmatch(r"millrace ready (http://\S+) admin (http://\S+)\n", line)
        if not found:
            self.process.wait(10)
            raise AssertionError(f"no ready line but {line!r}: {self.log_text()[-2000:]}")
        self.http, self.admin = found.groups()
        return self

    def log_text(self):
        return (self.directory / "server.log").read_text()

    def kill(self):
        """SIGKILL: nothing is drained or told."""
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.log.close()
            self.process = None

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.kill()
        return code

    @property
    def token(self):
        return (self.directory / "data" / "admin-token").read_text().strip()

    def request(self, path, method="GET", body=None, headers=None, base=None):
        """Status, headers, text."""
        base = base or self.admin
        headers = dict(headers or {})
        if base == self.admin:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        data = body.encode() if isinstance(body, str) else body
        request = urllib.request.Request(base + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.headers, refused.read().decode()

    def get(self, path, base=None):
        status, _, text = self.request(path, base=base)
        if status != 200:
            raise Refused(status, text)
        return json.loads(text)

    def publish(self, topic, *events, key=None, headers=None):
        """Through the public listener; the answer."""
        path = f"/v1/topics/{topic}/events" + (f"?key={key}" if key else "")
        many = len(events) != 1
        body = "\n".join(json.dumps(each) for each in events)
        content = "application/x-ndjson" if many else "application/json"

        def send():
            status, _, text = self.request(path, "POST", body, {"Content-Type": content, **(headers or {})}, base=self.http)
            if status == 503:  # as a producer would: come back
                return None
            if status not in (200, 207):
                raise Refused(status, text)
            return json.loads(text)
        return wait(send, "confirmation")

    def records(self, topic):
        """Everything in the topic, every partition, oldest first within each."""
        found = []
        for row in next(each for each in self.get("/v1/topics")["topics"] if each["name"] == topic)["partitions"]:
            offset = 0
            while True:
                page = self.get(f"/v1/topics/{topic}/records?partition={row['partition']}&offset={offset}&limit=1000")
                found += page["records"]
                offset = page["next"]
                if not page["records"]:
                    break
        return found

    def events(self, topic):
        return [json.loads(record["value"]) for record in self.records(topic)]

    def query(self, handler, question, **parameters):
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return self.get(f"/v1/handlers/{handler}/{question}?{query}")

    def audit(self, **filters):
        return self.query("audit", "events", limit=1000, **filters)["items"]

    def handler(self, name):
        return next(each for each in self.get("/v1/handlers")["handlers"] if each["handler"] == name)

    def wait_ready(self):
        wait(lambda: self.request("/readyz")[0] == 200, "readiness")
        return self

    def wait_idle(self):
        """Until no handler has lag, nothing queued, nothing to send."""
        def idle():
            handlers = self.get("/v1/handlers")["handlers"]
            return all(each["state"] == "running" and each["queue_records"] == 0 and each["outbox"] == 0 and each["partitions"]
                       and all(row["lag_records"] == 0 for row in each["partitions"]) for each in handlers)
        wait(idle, "idleness")

    def cli(self, *arguments, input=None):
        """The command line, against this server."""
        environment = {**os.environ, "MILLRACE_SERVER": self.admin, "MILLRACE_ADMIN_TOKEN": self.token}
        return subprocess.run([str(BINARY), *arguments], input=input, capture_output=True, text=True, env=environment, timeout=PATIENCE)


class Stream:
    """Server-sent events of one user, gathered on a thread."""

    def __init__(self, server, user, last_event_id=None):
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        self._answer = urllib.request.urlopen(urllib.request.Request(f"{server.http}/v1/stream?user={user}", headers=headers), timeout=PATIENCE)
        self.events = []
        self.ids = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        data, cursor, name = [], None, None
        with contextlib.suppress(Exception):
            for raw in self._answer:
                line = raw.decode().rstrip("\r\n")
                if line.startswith("data:"):
                    data.append(line[5:].strip())
                elif line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("id:"):
                    cursor = line[3:].strip()
                elif not line and data:
                    if name != "welcome":
                        self.events.append({"type": name, "data": json.loads("\n".join(data))})
                        self.ids.append(cursor)
                    data = []

    def close(self):
        self._answer.close()
