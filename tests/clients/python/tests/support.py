"""What the tests of the Python clients work with: the real program, an auth endpoint, waiting."""

import json
import os
import queue
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pusher
import pysher

REPOSITORY = Path(__file__).resolve().parents[4]

# The Python SDK takes no app id but a number, so these tests have an app of their own.
APP_ID, KEY, SECRET = "1", "python-key", "python-secret"
CONFIG = f"""
[[apps]]
id = "{APP_ID}"
key = "{KEY}"
secret = "{SECRET}"
client_events = true
"""

# Known to the application and to nobody else; 32 bytes.
ENCRYPTION_MASTER_KEY = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="

# How long something may take before its test fails: it bounds a failure, it measures nothing.
PATIENCE = 60.0

_serial = iter(range(1, 1 << 30))


def unique(prefix=""):
    """A channel name that no other test uses."""
    return f"{prefix}py-{os.getpid()}-{next(_serial)}"


def until(what, check, patience=PATIENCE):
    """The first true value of `check()`; an error that says `what` when it never comes."""
    deadline = time.monotonic() + patience
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience} s in vain for: {what}")
        time.sleep(0.01)


def program_path():
    """The program under test: $TIDINGS_BIN, or what cargo builds in this repository."""
    if os.environ.get("TIDINGS_BIN"):
        return os.environ["TIDINGS_BIN"]
    command = ["cargo", "build", "--package", "tidings", "--message-format", "json-render-diagnostics"]
    run = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True, text=True)
    for line in run.stdout.splitlines():
        item = json.loads(line)
        if item.get("executable") and item["target"]["name"] == "tidings":
            os.environ["TIDINGS_BIN"] = item["executable"]
            return item["executable"]
    raise AssertionError("cargo built no program called tidings")


def free_port():
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One running `tidings serve`; it can be stopped and started again on the same port."""

    def __init__(self, config=CONFIG):
        self._folder = tempfile.TemporaryDirectory(prefix="tidings-config-")
        self._config = Path(self._folder.name, "tidings.toml")
        self._config.write_text(config)
        self._log = open(Path(self._folder.name, "log"), "w+b")
        self._process = None
        self.port = free_port()
        self.resume()

    @property
    def log(self):
        return Path(self._folder.name, "log").read_text(errors="replace")

    def resume(self):
        """Starts the stopped program again on the port that it had."""
        command = [program_path(), "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--config", str(self._config)]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        until(f"the program listens on {self.port}", self._listens, 20)

    def _listens(self):
        if self._process.poll() is not None:
            raise AssertionError(f"tidings ended with {self._process.returncode}:\n{self.log}")
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self, how=signal.SIGTERM):
        """Asks the program to end (or kills it) and waits until it is gone."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"tidings did not end after {how!r}:\n{self.log}") from None

    def close(self):
        self.stop()
        self._log.close()
        self._folder.cleanup()


class AuthEndpoint:
    """The application's side: signs what it is asked to with the official SDK."""

    def __init__(self, sdk):
        self.calls = calls = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(text))
                calls.append(form)
                body = json.dumps(sdk.authenticate(form["channel_name"], form["socket_id"])).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/pusher/auth"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class World:
    """One server and what an application has around it."""

    def __init__(self, config=CONFIG):
        self.server = Server(config)
        self.sdk = self.sdk_with()
        self.auth = AuthEndpoint(self.sdk)
        self._subscribers = []

    def sdk_with(self, **overrides):
        """The official Python SDK, pointed at the server."""
        options = dict(
            app_id=APP_ID, key=KEY, secret=SECRET, ssl=False, host="127.0.0.1", port=self.server.port,
            encryption_master_key_base64=ENCRYPTION_MASTER_KEY,
        )
        return pusher.Pusher(**{**options, **overrides})

    def subscriber(self, **options):
        """A `Subscriber` that is connected."""
        subscriber = Subscriber(self.server.port, **options)
        self._subscribers.append(subscriber)
        subscriber.connect()
        return subscriber

    def close(self):
        for subscriber in self._subscribers:
            subscriber.close()
        self.auth.close()
        self.server.close()


class Subscriber:
    """A pysher client whose events can be waited for.

    pysher leaves it to its user to subscribe again after a reconnect, in the handler of
    `pusher:connection_established`: that is what `channels` is for. It also sends the subscription
    before it has the channel in its table, so that a confirmation may be missed unless the
    subscription is made in pysher's own thread: a pong is what brings us there.
    """

    def __init__(self, port, key=KEY, **options):
        options = {"secret": SECRET, "reconnect_interval": 0.2, **options}
        self.client = pysher.Pusher(key, custom_host="127.0.0.1", port=port, secure=False, **options)
        self.events = queue.Queue()
        self.errors = queue.Queue()
        self.greetings = queue.Queue()
        self.channels = {}
        self._pending = queue.Queue()
        self.client.connection.bind("pusher:connection_established", self._established)
        self.client.connection.bind("pusher:pong", self._subscribe_pending)
        self.client.connection.bind("pusher:error", self.errors.put)

    @property
    def socket_id(self):
        return self.client.connection.socket_id

    def connect(self):
        self.client.connect()
        self.greetings.get(timeout=PATIENCE)

    def _established(self, data):
        for name, wanted in self.channels.items():
            self._subscribe(name, *wanted)
        self.greetings.put(json.loads(data))

    def subscribe(self, name, *events, auth=None):
        """Subscribes, and puts (channel, event, data) of these events into `events`."""
        wanted = ("pusher_internal:subscription_succeeded", "pusher:subscription_error", *events)
        self.channels[name] = (wanted, auth)
        self._pending.put(name)
        self.client.connection.send_event("pusher:ping", {})

    def _subscribe_pending(self, _):
        while not self._pending.empty():
            name = self._pending.get()
            self._subscribe(name, *self.channels[name])

    def _subscribe(self, name, events, auth):
        channel = self.client.subscribe(name, auth=auth)
        for event in events:
            channel.bind(event, lambda data, event=event: self.events.put((name, event, data)))

    def joined(self, name, *events, auth=None):
        """Subscribes and waits until the server has confirmed it; gives the channel and the data."""
        self.subscribe(name, *events, auth=auth)
        data = self.expect(name, "pusher_internal:subscription_succeeded")
        return self.client.channel(name), data

    def expect(self, name, event):
        """The data of the next event, which must be this one on this channel."""
        got_name, got_event, data = self.events.get(timeout=PATIENCE)
        assert (got_name, got_event) == (name, event), f"expected {event} on {name}, got {got_event} on {got_name}: {data}"
        return data

    def close(self):
        # The thread of a closed pysher may linger in its socket library for minutes; it is a daemon.
        self.client.disconnect(timeout=0)
