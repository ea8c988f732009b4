"""The official Python SDK: publishing, asking, signing."""

import unittest

import pusher.errors

from support import World, unique


class Publisher(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.addClassCleanup(cls.world.close)
        cls.sdk = cls.world.sdk

    def test_trigger_reaches_the_subscriber_with_its_data_unchanged(self):
        name = unique()
        subscriber = self.world.subscriber()
        subscriber.joined(name, "news")
        self.assertEqual(self.sdk.trigger(name, "news", {"text": "grüße 🎉", "n": [1, None]}), {})
        self.assertEqual(subscriber.expect(name, "news"), '{"text": "grüße 🎉", "n": [1, null]}')
        self.sdk.trigger(name, "news", "plain")
        self.assertEqual(subscriber.expect(name, "news"), "plain")

    def test_trigger_reaches_several_channels(self):
        names = [unique(), unique("private-")]
        subscriber = self.world.subscriber()
        for name in names:
            subscriber.joined(name, "news")
        self.sdk.trigger(names, "news", "both")
        self.assertEqual({subscriber.events.get(timeout=60)[0] for _ in names}, set(names))

    def test_trigger_leaves_out_the_socket_that_is_named(self):
        name = unique()
        sender, other = self.world.subscriber(), self.world.subscriber()
        for each in (sender, other):
            each.joined(name, "news")
        self.sdk.trigger(name, "news", "1", sender.socket_id)
        self.sdk.trigger(name, "news", "2")
        self.assertEqual(sender.expect(name, "news"), "2")
        self.assertEqual([other.expect(name, "news") for _ in "12"], ["1", "2"])

    def test_trigger_batch_keeps_the_order(self):
        name = unique()
        subscriber = self.world.subscriber()
        subscriber.joined(name, "n")
        batch = [{"channel": name, "name": "n", "data": str(n)} for n in range(10)]
        self.assertEqual(self.sdk.trigger_batch(batch), {})
        self.assertEqual([subscriber.expect(name, "n") for _ in range(10)], [str(n) for n in range(10)])

    def test_channels_info_with_the_body_md5_of_nothing_that_this_sdk_sends(self):
        name = unique("presence-")
        self.world.subscriber(user_data={"user_id": "a"}).joined(name)
        self.assertEqual(self.sdk.channels_info("presence-py", ["user_count"])["channels"][name], {"user_count": 1})
        self.assertIn(name, self.sdk.channels_info()["channels"])
        self.assertEqual(self.sdk.channels_info("no-such-")["channels"], {})

    def test_channel_info_and_users_info(self):
        name, open_name = unique("presence-"), unique()
        subscriber = self.world.subscriber(user_data={"user_id": "a", "user_info": {"name": "Ann"}})
        subscriber.joined(name)
        subscriber.joined(open_name)
        self.assertEqual(self.sdk.channel_info(name, ["user_count"]), {"occupied": True, "user_count": 1})
        self.assertEqual(
            self.sdk.channel_info(open_name, ["subscription_count"]), {"occupied": True, "subscription_count": 1})
        self.assertEqual(self.sdk.channel_info(unique()), {"occupied": False})
        self.assertEqual(self.sdk.users_info(name), {"users": [{"id": "a"}]})

    def test_terminate_user_connections_over_the_path_that_this_sdk_uses(self):
        self.assertEqual(self.sdk.terminate_user_connections("nobody"), {})

    def test_authenticate_grants_a_private_a_presence_and_an_encrypted_channel(self):
        subscriber = self.world.subscriber()
        for name in (unique("private-"), unique("private-encrypted-"), unique("private-cache-")):
            grant = self.sdk.authenticate(name, subscriber.socket_id)
            subscriber.joined(name, auth=grant["auth"])

    def test_a_wrong_secret_is_bad_auth_that_shows_the_text_to_sign(self):
        with self.assertRaises(pusher.errors.PusherBadAuth) as refused:
            self.world.sdk_with(secret="wrong").trigger(unique(), "news", {})
        self.assertRegex(str(refused.exception), r"auth_key=python-key")

    def test_an_unknown_app_is_not_found(self):
        with self.assertRaises(pusher.errors.PusherBadStatus) as refused:
            self.world.sdk_with(app_id="404").trigger(unique(), "news", {})
        self.assertRegex(str(refused.exception), "^404")

    def test_a_question_that_makes_no_sense_is_a_bad_request(self):
        with self.assertRaises(pusher.errors.PusherBadRequest):
            self.sdk.users_info(unique())

    def test_data_over_the_limit_is_refused_with_413(self):
        with self.assertRaises(pusher.errors.PusherBadStatus) as refused:
            self.sdk.trigger(unique(), "news", "x" * 10241)
        self.assertRegex(str(refused.exception), "^413.*10240")

    def test_one_session_publishes_many_times(self):
        name = unique()
        subscriber = self.world.subscriber()
        subscriber.joined(name, "n")
        for n in range(200):
            self.sdk.trigger(name, "n", str(n))
        self.assertEqual([subscriber.expect(name, "n") for _ in range(200)], [str(n) for n in range(200)])


if __name__ == "__main__":
    unittest.main()
