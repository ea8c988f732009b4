"""Webhooks, verified by the official SDK: `validate_webhook` must take each of them for genuine."""

import json
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from support import CONFIG, World, unique, until


class Endpoint:
    """The application's side of webhooks."""

    def __init__(self):
        self.requests = requests = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                self.send_response(204)
                self.end_headers()
                requests.append((self.headers, body))

            def log_message(self, *arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def events(self, sdk, channel):
        """The events about a channel, of requests that are all genuine."""
        events = []
        for headers, body in list(self.requests):
            genuine = sdk.validate_webhook(headers["X-Pusher-Key"], headers["X-Pusher-Signature"], body)
            assert genuine is not None, body
            events += [event for event in genuine["events"] if event.get("channel") == channel]
        return events

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Webhooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.endpoint = Endpoint()
        cls.addClassCleanup(cls.endpoint.close)
        hooks = f'[[apps.webhooks]]\nurl = "{cls.endpoint.url}"\nbatching = true\n'
        cls.world = World(config=f'webhook_delay = "50ms"\n{CONFIG}{hooks}')
        cls.addClassCleanup(cls.world.close)

    def told(self, channel, count):
        """The first `count` events about a channel."""
        until(f"{count} events about {channel}", lambda: len(self.endpoint.events(self.world.sdk, channel)) >= count)
        return self.endpoint.events(self.world.sdk, channel)

    def test_all_that_happens_in_a_presence_channel_is_told(self):
        name = unique("presence-")
        subscriber = self.world.subscriber(user_data={"user_id": "ann"})
        channel, _ = subscriber.joined(name)
        channel.trigger("client-typing", {"on": "Zoë"})
        self.told(name, 3)
        subscriber.client.unsubscribe(name)
        events = {event["name"]: event for event in self.told(name, 5)}
        self.assertEqual(
            sorted(events),
            ["channel_occupied", "channel_vacated", "client_event", "member_added", "member_removed"],
        )
        self.assertEqual(events["member_added"], {"name": "member_added", "channel": name, "user_id": "ann"})
        client_event = events["client_event"]
        self.assertEqual(json.loads(client_event.pop("data")), {"on": "Zoë"})
        self.assertEqual(client_event, {
            "name": "client_event", "channel": name, "event": "client-typing",
            "socket_id": subscriber.socket_id, "user_id": "ann",
        })

    def test_a_changed_body_is_not_genuine(self):
        name = unique()
        self.world.subscriber().joined(name)
        self.told(name, 1)
        headers, body = self.endpoint.requests[-1]
        forged = body.replace("channel_occupied", "channel_vacated ")
        key, signature = headers["X-Pusher-Key"], headers["X-Pusher-Signature"]
        self.assertIsNone(self.world.sdk.validate_webhook(key, signature, forged))


if __name__ == "__main__":
    unittest.main()
