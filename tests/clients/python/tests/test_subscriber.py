"""pysher: subscribing, receiving, client events, coming back."""

import json
import signal
import unittest

from support import KEY, World, unique, until


def presence(data):
    return json.loads(data)["presence"]


class Subscribing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(cls.world.close)
        cls.sdk = cls.world.sdk

    def test_connecting_gives_a_socket_id(self):
        subscriber = self.world.subscriber()
        self.assertRegex(subscriber.socket_id, r"^\d+\.\d+$")
        until("pysher takes itself for connected", lambda: subscriber.client.connection.state == "connected")

    def test_the_ping_that_pysher_sends_at_once_is_answered(self):
        subscriber = self.world.subscriber()
        until("the pong", lambda: subscriber.client.connection.pong_received)

    def test_an_unknown_key_is_4001_and_ends_the_connection(self):
        from support import Subscriber
        subscriber = Subscriber(self.world.server.port, key="no-such-key")
        subscriber.client.connect()
        self.assertEqual(subscriber.errors.get(timeout=60)["code"], 4001)
        until("pysher has ended", lambda: not subscriber.client.connection.is_alive())

    def test_public_private_presence_and_cache_channels_are_confirmed(self):
        subscriber = self.world.subscriber(user_data={"user_id": "ann", "user_info": {"name": "Ann"}})
        for name in (unique(), unique("private-"), unique("cache-"), unique("private-cache-")):
            _, data = subscriber.joined(name, "news")
            self.assertEqual(data, "{}")
            self.sdk.trigger(name, "news", name)
            self.assertIn((name, "news", name), self.drain(subscriber, "news"))
        name = unique("presence-")
        _, data = subscriber.joined(name)
        self.assertEqual(presence(data), {"ids": ["ann"], "hash": {"ann": {"name": "Ann"}}, "count": 1})

    def drain(self, subscriber, event):
        """The events up to the first one of this name."""
        seen = []
        while not seen or seen[-1][1] != event:
            seen.append(subscriber.events.get(timeout=60))
        return seen

    def test_an_auth_endpoint_grants_a_private_channel(self):
        name = unique("private-")
        subscriber = self.world.subscriber(secret="", auth_endpoint=self.world.auth.url)
        subscriber.joined(name, "news")
        self.assertEqual(self.world.auth.calls[-1], {"channel_name": name, "socket_id": subscriber.socket_id})
        self.sdk.trigger(name, "news", "granted")
        self.assertEqual(subscriber.expect(name, "news"), "granted")

    def test_a_wrong_signature_is_an_error_that_names_the_channel(self):
        subscriber = self.world.subscriber()
        name = unique("private-")
        subscriber.subscribe(name, auth=f"{KEY}:{'0' * 64}")
        error = subscriber.expect(name, "pusher:subscription_error")
        self.assertEqual((error["type"], error["status"]), ("AuthError", 401))
        subscriber.joined(unique())

    def test_1000_events_arrive_in_order(self):
        name = unique("private-")
        subscriber = self.world.subscriber()
        subscriber.joined(name, "n")
        for start in range(0, 1000, 10):
            self.sdk.trigger_batch([{"channel": name, "name": "n", "data": str(start + n)} for n in range(10)])
        self.assertEqual([subscriber.expect(name, "n") for _ in range(1000)], [str(n) for n in range(1000)])

    def test_client_events_reach_the_others_and_not_the_sender(self):
        name = unique("presence-")
        ann = self.world.subscriber(user_data={"user_id": "ann"})
        bob = self.world.subscriber(user_data={"user_id": "bob"})
        channel, _ = ann.joined(name, "client-typing", "end")
        bob.joined(name, "client-typing", "end")
        channel.trigger("client-typing", {"on": True})
        self.assertEqual(json.loads(bob.expect(name, "client-typing")), {"on": True})
        self.sdk.trigger(name, "end", "")
        self.assertEqual(ann.expect(name, "end"), "")

    def test_presence_tells_who_joins_and_who_leaves_with_two_tabs_as_one(self):
        name = unique("presence-")
        events = ("pusher_internal:member_added", "pusher_internal:member_removed", "fence")
        observer = self.world.subscriber(user_data={"user_id": "observer"})
        observer.joined(name, *events)
        tabs = [self.world.subscriber(user_data={"user_id": 7, "user_info": {"name": "Seven"}}) for _ in "12"]
        for tab in tabs:
            _, data = tab.joined(name)
            self.assertEqual(sorted(presence(data)["ids"]), ["7", "observer"])
        added = json.loads(observer.expect(name, "pusher_internal:member_added"))
        self.assertEqual(added, {"user_id": "7", "user_info": {"name": "Seven"}})
        tabs[0].client.unsubscribe(name)
        until("one tab is gone", lambda: self.sdk.channel_info(name, ["subscription_count"])["subscription_count"] == 2)
        self.sdk.trigger(name, "fence", "")
        observer.expect(name, "fence")
        tabs[1].close()
        removed = json.loads(observer.expect(name, "pusher_internal:member_removed"))
        self.assertEqual(removed, {"user_id": "7"})

    def test_unsubscribing_stops_the_events(self):
        kept, left = unique(), unique("private-")
        subscriber = self.world.subscriber()
        subscriber.joined(kept, "news")
        subscriber.joined(left, "news")
        subscriber.client.unsubscribe(left)
        until("nobody is there", lambda: not self.sdk.channel_info(left)["occupied"])
        self.sdk.trigger(left, "news", "unwanted")
        self.sdk.trigger(kept, "news", "wanted")
        self.assertEqual(subscriber.expect(kept, "news"), "wanted")


class Restart(unittest.TestCase):
    def comes_back_after(self, how):
        world = World()
        self.addCleanup(world.close)
        subscriber = world.subscriber(user_data={"user_id": "ann"})
        names = [unique(), unique("private-"), unique("presence-")]
        for name in names:
            subscriber.joined(name, "news")
        before = subscriber.socket_id
        world.server.stop(how)
        world.server.resume()
        confirmed = [subscriber.events.get(timeout=60)[:2] for _ in names]
        self.assertEqual(sorted(confirmed), sorted((name, "pusher_internal:subscription_succeeded") for name in names))
        self.assertNotEqual(subscriber.socket_id, before)
        for name in names:
            world.sdk.trigger(name, "news", "again")
            self.assertEqual(subscriber.expect(name, "news"), "again")

    def test_pysher_comes_back_after_a_server_that_was_asked_to_end(self):
        self.comes_back_after(signal.SIGTERM)

    def test_pysher_comes_back_after_a_server_that_was_killed(self):
        self.comes_back_after(signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
