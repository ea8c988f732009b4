"""FR-117: connections that come and go for a long time; then memory is flat, no descriptor is left, and all counts are zero.

usage: run.py PROGRAM SECONDS CONNECTIONS

Every connection subscribes to channels that nobody has had before and ends in one of five ways: a close frame, a reset, an
end of stream, a termination through the HTTP API, or a reset while it reads nothing. Events are published all the while.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import re
import statistics
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

APP, KEY, SECRET = "app-id", "app-key", "app-secret"
CHURN_PER_SECOND = 0.02  # of all connections
SAMPLE_EVERY = 2.0
GROWTH = 1.10  # the last quarter against the second
SPARE_BYTES = 4 << 20  # what the allocator may keep besides
WAYS = ("close", "reset", "eof", "terminate", "deaf")


def sign(text):
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def frame(text):
    """A masked text frame; a mask of zeros leaves the payload as it is."""
    payload = text.encode()
    size = len(payload)
    head = struct.pack("!BB", 0x81, 0x80 | size) if size < 126 else struct.pack("!BBH", 0x81, 0xFE, size)
    return head + bytes(4) + payload


CLOSE = bytes([0x88, 0x82]) + bytes(4) + struct.pack("!H", 1000)


class Client(asyncio.Protocol):
    """One connection. It looks at its first bytes only, and drops the rest."""

    def __init__(self, soak, serial):
        self.soak, self.serial = soak, serial
        self.buffer = b""
        self.transport = None
        self.ready = False
        self.way = WAYS[serial % len(WAYS)] if serial % 50 == 4 else WAYS[serial % 4]

    def connection_made(self, transport):
        self.transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /app/{KEY}?protocol=7 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )

    def data_received(self, data):
        if self.ready:
            return
        self.buffer += data
        found = re.search(rb'socket_id\\":\\"([0-9.]+)', self.buffer)
        if found:
            self.ready = True
            self.buffer = b""
            self.begin(found[1].decode())

    def begin(self, socket_id):
        self.soak.opened += 1
        user = f"user-{self.serial}"
        data = json.dumps({"id": user})
        self.send("pusher:signin", {"auth": f"{KEY}:{sign(f'{socket_id}::user::{data}')}", "user_data": data})
        for channel in (f"room-{self.serial}", f"private-{self.serial}", f"presence-{self.serial // 10}", "all"):
            body = {"channel": channel}
            member = json.dumps({"user_id": user}) if channel.startswith("presence-") else None
            if channel.startswith("p"):
                text = f"{socket_id}:{channel}" + (f":{member}" if member else "")
                body["auth"] = f"{KEY}:{sign(text)}"
            if member:
                body["channel_data"] = member
            self.send("pusher:subscribe", body)
        if self.way == "deaf":
            self.transport.pause_reading()

    def send(self, event, data):
        self.transport.write(frame(json.dumps({"event": event, "data": data})))

    def end(self):
        """Ends the connection in its way; the server ends those that are terminated."""
        if self.way == "close":
            self.transport.write(CLOSE)
        elif self.way == "reset" or not self.ready:
            self.transport.abort()
        elif self.way == "eof":
            self.transport.close()
        elif self.way == "terminate":
            self.soak.terminate(f"user-{self.serial}")
        else:
            self.transport.abort()

    def connection_lost(self, _):
        self.soak.lost(self)


class Soak:
    def __init__(self, port, pid, seconds, connections):
        self.port, self.pid, self.seconds, self.wanted = port, pid, seconds, connections
        self.clients = set()
        self.serial = self.opened = self.ended = self.published = 0
        self.work = set()
        self.samples = []
        self.refilling = True

    def request(self, method, path, body=""):
        query = {"auth_key": KEY, "auth_timestamp": str(int(time.time())), "auth_version": "1.0"}
        if body:
            query["body_md5"] = hashlib.md5(body.encode()).hexdigest()
        text = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
        query["auth_signature"] = sign(f"{method}\n{path}\n{text}")
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        asked = urllib.request.Request(url, data=body.encode() if method == "POST" else None, method=method)
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.load(answer)

    def in_background(self, *request):
        """Asks without waiting; a failure fails the run."""
        task = asyncio.get_running_loop().run_in_executor(None, self.request, *request)
        self.work.add(task)
        task.add_done_callback(self.work.discard)
        return task

    def terminate(self, user):
        self.in_background("POST", f"/apps/{APP}/users/{user}/terminate_connections", "{}")

    def lost(self, client):
        self.clients.discard(client)
        self.ended += 1

    async def open(self):
        self.serial += 1
        client = Client(self, self.serial)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: client, "127.0.0.1", self.port)
        self.clients.add(client)

    def memory(self):
        status = open(f"/proc/{self.pid}/status").read()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    async def publish(self):
        """Events for all, and now and then so large a lot that who does not read is cut."""
        body = json.dumps({"name": "tick", "channel": "all", "data": "x" * 200})
        while self.refilling:
            await self.in_background("POST", f"/apps/{APP}/events", body)
            self.published += 1
            await asyncio.sleep(0.5)

    async def refill(self):
        while self.refilling:
            missing = self.wanted - len(self.clients)
            if missing > 0:
                await asyncio.gather(*(self.open() for _ in range(min(missing, 100))))
            await asyncio.sleep(0.02)

    async def churn(self, until):
        next_sample = time.monotonic()
        while (now := time.monotonic()) < until:
            count = max(1, int(self.wanted * CHURN_PER_SECOND / 10))
            for client in random.sample(sorted(self.clients, key=id), min(count, len(self.clients))):
                client.end()
            if now >= next_sample:
                next_sample = now + SAMPLE_EVERY
                self.samples.append(self.memory())
                if len(self.samples) % 15 == 0:
                    print(f"{until - now:5.0f} s left, {len(self.clients)} open, {self.opened} opened so far, "
                          f"{self.samples[-1] >> 20} MiB, {self.descriptors()} descriptors", flush=True)
            await asyncio.sleep(0.1)

    async def run(self):
        idle = self.descriptors()
        tasks = [asyncio.create_task(self.refill()), asyncio.create_task(self.publish())]
        while len(self.clients) < self.wanted:
            await asyncio.sleep(0.1)
        print(f"{self.wanted} connections are open, {self.memory() >> 20} MiB", flush=True)
        await self.churn(time.monotonic() + self.seconds)
        self.refilling = False
        await asyncio.gather(*tasks)
        for client in list(self.clients):
            client.end()
        deadline = time.monotonic() + 60
        while (self.clients or self.work or self.descriptors() > idle) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        self.check(idle)

    def check(self, idle):
        """Holds the end against the beginning."""
        quarter = len(self.samples) // 4
        early, late = (statistics.median(self.samples[quarter * at:quarter * (at + 1)]) for at in (1, 3))
        channels = self.request("GET", f"/apps/{APP}/channels")["channels"]
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=30).read().decode()
        gauges = {
            line.split()[0]: float(line.split()[1])
            for line in metrics.splitlines()
            if re.match(r"tidings_(connected|channels|subscriptions|presence_\w+|queue_bytes\w*)(\{|\s)", line)
        }
        left = {name: value for name, value in gauges.items() if value}
        print(f"{self.opened} connections opened, {self.ended} ended, {self.published} events published")
        print(f"memory {early / 2**20:.1f} MiB in the second quarter, {late / 2**20:.1f} MiB in the last, "
              f"{self.memory() / 2**20:.1f} MiB at the end; descriptors {idle} before, {self.descriptors()} after")
        faults = []
        if late > early * GROWTH + SPARE_BYTES:
            faults.append("memory has grown")
        if self.descriptors() > idle:
            faults.append("descriptors are left")
        if self.clients:
            faults.append(f"{len(self.clients)} connections have not ended")
        if channels:
            faults.append(f"{len(channels)} channels are left")
        if not gauges or left:
            faults.append(f"gauges that are not zero: {left or 'there are none at all'}")
        if faults:
            sys.exit("; ".join(faults))


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    program, seconds, connections = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port, metrics_port = free_port(), free_port()
    command = [program, "serve", "--port", str(port), "--max-queue-bytes", "65536", "--watchlists", "--close-timeout", "1",
               "--log", "warn", "--metrics", "--metrics-port", str(metrics_port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5).read()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        soak = Soak(port, server.pid, seconds, connections)
        soak.metrics_port = metrics_port
        asyncio.run(soak.run())
        if server.poll() is not None:
            sys.exit("the server has ended")
    finally:
        server.terminate()
        server.wait(30)


main()
