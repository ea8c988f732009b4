// Subscribing to every kind of channel, receiving, leaving, and being turned away.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, record, until } from '../../shared/wait.mjs';
import { World, subscribed, unique } from './world.mjs';

const KINDS = [
  '', 'private-', 'presence-', 'private-encrypted-',
  'cache-', 'private-cache-', 'presence-cache-', 'private-encrypted-cache-',
];

let world;
before(async () => { world = await World.open(); });
after(() => world.close());

describe('subscribing', () => {
  for (const kind of KINDS) {
    it(`to a ${kind || 'public '}channel is confirmed, and events arrive`, async () => {
      const name = unique(kind);
      const { channel } = await world.subscriber(name);
      assert.equal(channel.subscribed, true);
      const received = next(channel, 'news');
      await world.publish(name, 'news', { text: 'grüße 🎉' });
      assert.deepEqual(await received, { text: 'grüße 🎉' });
    });
  }

  it('asks the auth endpoint for private and presence channels, not for public ones', async () => {
    const client = await world.connected();
    const names = [unique(), unique('cache-'), unique('private-'), unique('presence-')];
    for (const name of names) await subscribed(client, name);
    const asked = world.auth.calls.filter((call) => call.socketId === client.connection.socket_id);
    assert.deepEqual(asked.map((call) => call.channel), names.slice(2));
  });

  it('accepts every character that a channel name may have', async () => {
    const name = `private-aZ09_-=@,.;${unique()}`;
    const { channel } = await world.subscriber(name);
    const received = next(channel, 'news');
    await world.publish(name, 'news', 'here');
    assert.equal(await received, 'here');
  });

  it('keeps what is encrypted unread by the server', async () => {
    const name = unique('private-encrypted-');
    const socket = await world.socket();
    socket.subscribe(name, world.publisher.authorizeChannel(socket.id, name));
    await socket.readUntil('pusher_internal:subscription_succeeded');
    await world.publish(name, 'news', { text: 'between us' });
    const frame = await socket.readUntil('news');
    assert.deepEqual(Object.keys(JSON.parse(frame.data)).sort(), ['ciphertext', 'nonce']);
    assert.doesNotMatch(frame.data, /between us/);
  });

  it('confirms with string data before the first event of the channel', async () => {
    const name = unique();
    const socket = await world.socket();
    socket.subscribe(name);
    const frame = await socket.read();
    assert.deepEqual(frame, { event: 'pusher_internal:subscription_succeeded', channel: name, data: '{}' });
  });

  it('takes the data of a subscribe frame as an object and as a JSON string', async () => {
    const name = unique();
    const socket = await world.socket();
    socket.send('pusher:subscribe', { data: JSON.stringify({ channel: name }) });
    assert.equal((await socket.read()).event, 'pusher_internal:subscription_succeeded');
  });

  it('twice on one socket is an error that names the channel, and counts once', async () => {
    const name = unique();
    const socket = await world.socket();
    socket.subscribe(name);
    await socket.readUntil('pusher_internal:subscription_succeeded');
    socket.subscribe(name);
    const error = await socket.read();
    assert.equal(error.event, 'pusher:error');
    assert.ok(error.data.message.includes(name));
    const answer = await world.publish(name, 'news', '1', { info: 'subscription_count' });
    assert.equal(answer.channels[name].subscription_count, 1);
    await world.publish(name, 'end', '2');
    await socket.readUntil('end');
    assert.equal(socket.frames.filter((frame) => frame.event === 'news').length, 1);
  });

  it('FR-086: verifies the text of channel_data as it came', async () => {
    const name = unique('presence-');
    const signed = world.publisher.authorizeChannel('1.1', name, { user_id: 'u', user_info: { name: 'Zoë "🎉" \\/' } });
    const socket = await world.socket();
    const good = world.publisher.authorizeChannel(socket.id, name, { user_id: 'u', user_info: { name: 'Zoë "🎉" \\/' } });
    socket.subscribe(name, { ...good, channel_data: good.channel_data.replace('"u"', '"v"') });
    assert.equal((await socket.read()).event, 'pusher:subscription_error');
    socket.subscribe(name, signed);
    assert.equal((await socket.read()).event, 'pusher:subscription_error');
    socket.subscribe(name, good);
    const frame = await socket.read();
    assert.equal(frame.event, 'pusher_internal:subscription_succeeded');
    assert.equal(JSON.parse(frame.data).presence.hash.u.name, 'Zoë "🎉" \\/');
  });
});

describe('receiving', () => {
  it('gives 1,000 events in order, with none lost and none doubled', async () => {
    const name = unique('private-');
    const subscribers = await Promise.all([1, 2, 3].map(() => world.subscriber(name)));
    const seen = subscribers.map(({ channel }) => record(channel, 'count'));
    const last = subscribers.map(({ channel }) => next(channel, 'count', (data) => data.n === 999));
    for (let n = 0; n < 1_000; n += 1) await world.publisher.trigger(name, 'count', { n });
    await Promise.all(last);
    const expected = Array.from({ length: 1_000 }, (_, n) => n);
    for (const events of seen) assert.deepEqual(events.map((data) => data.n), expected);
  });

  const names = [
    'App\\Events\\OrderShipped', 'with.dots', 'with:colon', 'with space', '"quoted"', 'ünï-🎉', "it's", '#', '{}',
    'a'.repeat(200), 'new\nline', 'toString', 'pusher', 'client', '\u2028', '</script>',
  ];
  for (const name of names) {
    it(`FR-107: binds to the event name ${JSON.stringify(name.slice(0, 30))}`, async () => {
      const room = unique();
      const { channel } = await world.subscriber(room);
      const received = next(channel, name);
      await world.publish(room, name, { ok: true });
      assert.deepEqual(await received, { ok: true });
    });
  }

  it('FR-105, FR-106: passes the data string on as it was published', async () => {
    const name = unique();
    const socket = await world.socket();
    socket.subscribe(name);
    await socket.readUntil('pusher_internal:subscription_succeeded');
    const texts = ['{"a":1}', ' { "b" :  [1.0, 1e3] } ', 'hello', '123', '"x"', '', 'null', '\\"\u0000\u001f\u007f', 'Zoë 🎉 \u2028', '<&>/'];
    for (const text of texts) await world.publish(name, 'text', text);
    for (const text of texts) {
      const frame = await socket.read();
      assert.deepEqual(frame, { event: 'text', channel: name, data: text });
    }
  });

  it('FR-105: decodes once in the handler', async () => {
    const name = unique();
    const { channel } = await world.subscriber(name);
    const seen = record(channel, 'value');
    const values = [{ a: 1 }, [1, 2], 'text', { nested: '{"b":2}' }];
    const last = next(channel, 'last');
    for (const value of values) await world.publish(name, 'value', value);
    await world.publish(name, 'last', {});
    await last;
    assert.deepEqual(seen, values);
  });

  it('keeps channels apart on one connection', async () => {
    const [left, right] = [unique(), unique('private-')];
    const client = await world.connected();
    const [a, b] = [await subscribed(client, left), await subscribed(client, right)];
    const [atA, atB] = [record(a, 'news'), record(b, 'news')];
    const last = next(b, 'news', (data) => data === 'second');
    await world.publish(left, 'news', 'first');
    await world.publish(right, 'news', 'second');
    await last;
    assert.deepEqual([atA, atB], [['first'], ['second']]);
  });
});

describe('leaving', () => {
  it('stops the events of that channel and of no other', async () => {
    const [kept, left] = [unique(), unique('private-')];
    const client = await world.connected();
    const stays = await subscribed(client, kept);
    await subscribed(client, left);
    const frames = record(client.connection, 'message');
    client.unsubscribe(left);
    await leftByAll(left);
    const last = next(stays, 'end');
    await world.publish(left, 'news', 'unwanted');
    await world.publish(kept, 'end', {});
    await last;
    assert.deepEqual(frames.filter((frame) => frame.channel === left), []);
  });

  it('can be taken back', async () => {
    const name = unique('private-');
    const { client } = await world.subscriber(name);
    client.unsubscribe(name);
    const again = await subscribed(client, name);
    const received = next(again, 'news');
    await world.publish(name, 'news', 'back');
    assert.equal(await received, 'back');
  });

  it('FR-052: before the confirmation ends unsubscribed', async () => {
    const name = unique('private-');
    const client = await world.connected();
    const confirmed = record(client.subscribe(name), 'pusher:subscription_succeeded');
    client.unsubscribe(name);
    await next(client.connection, 'message', (frame) => frame.channel === name);
    await leftByAll(name);
    assert.deepEqual(confirmed, []);
  });

  it('FR-055: a channel that is unknown, or joined only by others, touches nobody', async () => {
    const name = unique();
    const { channel } = await world.subscriber(name);
    const socket = await world.socket();
    socket.send('pusher:unsubscribe', { data: { channel: unique() } });
    socket.send('pusher:unsubscribe', { data: { channel: name } });
    await socket.fence();
    const received = next(channel, 'news');
    await world.publish(name, 'news', 'still here');
    assert.equal(await received, 'still here');
  });

  const leftByAll = (name) => until(`nobody is in ${name}`, async () => !(await world.ask(`/channels/${name}`)).occupied);
});

describe('being turned away', () => {
  it('a wrong signature is a subscription error that names the channel', async () => {
    const name = unique('private-');
    const client = await world.connected({
      channelAuthorization: {
        customHandler: ({ socketId, channelName }, callback) => {
          callback(null, world.publisherWith({ secret: 'guessed' }).authorizeChannel(socketId, channelName));
        },
      },
    });
    const frame = next(client.connection, 'message', (message) => message.event === 'pusher:subscription_error');
    await assert.rejects(subscribed(client, name), ({ told }) => {
      assert.equal(told.type, 'AuthError');
      assert.equal(told.status, 401);
      assert.equal(typeof told.error, 'string');
      return true;
    });
    assert.equal((await frame).channel, name);
    assert.equal(client.connection.state, 'connected');
    assert.equal((await world.ask(`/channels/${name}`)).occupied, false);
  });

  it('FR-054: an endpoint that says 403 once can be asked again', async () => {
    const name = unique('private-');
    let user = 'mallory';
    const client = await world.connected({
      channelAuthorization: {
        endpoint: `${world.auth.url}/pusher/auth`, transport: 'ajax', paramsProvider: () => ({ user }),
      },
    });
    await assert.rejects(subscribed(client, name), ({ told }) => told.status === 403);
    user = 'alice';
    assert.equal((await subscribed(client, name)).subscribed, true);
  });

  it('the signature of another socket is refused', async () => {
    const name = unique('private-');
    const [one, two] = [await world.socket(), await world.socket()];
    two.subscribe(name, world.publisher.authorizeChannel(one.id, name));
    const error = await two.read();
    assert.equal(error.event, 'pusher:subscription_error');
    assert.equal(error.channel, name);
  });

  it('the signature of another channel is refused', async () => {
    const socket = await world.socket();
    const name = unique('private-');
    socket.subscribe(name, world.publisher.authorizeChannel(socket.id, unique('private-')));
    assert.equal((await socket.read()).event, 'pusher:subscription_error');
  });

  it('FR-062: auth that is missing or no auth at all is a subscription error each time', async () => {
    const socket = await world.socket();
    for (const auth of [undefined, null, 5, '', 'no-colon', ':', 'app-key:', {}]) {
      const name = unique('private-');
      socket.subscribe(name, { auth });
      const error = await socket.read();
      assert.equal(error.event, 'pusher:subscription_error', `auth ${JSON.stringify(auth)}`);
      assert.equal(error.channel, name);
    }
    await socket.fence();
  });

  it('channel names that the protocol does not have are refused, and the socket stays', async () => {
    const socket = await world.socket();
    for (const name of ['', 'with space', 'a/b', 'a#b', '#server-to-user-somebody', '#other', 'ünï', 'x'.repeat(201)]) {
      socket.subscribe(name);
      assert.match((await socket.read()).event, /^pusher:(subscription_)?error$/, `name ${name}`);
    }
    await socket.fence();
  });
});
