// Cache channels: the last event is there at once for whoever subscribes later.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, record, until } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

const KINDS = ['cache-', 'private-cache-', 'presence-cache-', 'private-encrypted-cache-'];

let world;
before(async () => { world = await World.open(); });
after(() => world.close());

/** Resolves once `channel` has received an event that is published now: what came before is there. */
async function caughtUp(channel) {
  const last = next(channel, 'caught-up');
  await world.publish(channel.name, 'caught-up', {});
  await last;
}

for (const kind of KINDS) {
  describe(`a ${kind} channel`, () => {
    it('FR-084: gives a new subscriber the last event, as the application published it', async () => {
      const name = unique(kind);
      await world.publish(name, 'price', { text: 'first' });
      await world.publish(name, 'price', { text: 'grüße 🎉', n: [1, null] });
      const client = await world.connected();
      const channel = client.subscribe(name);
      const misses = record(channel, 'pusher:cache_miss');
      const prices = record(channel, 'price');
      await next(channel, 'price');
      await caughtUp(channel);
      assert.deepEqual([prices, misses], [[{ text: 'grüße 🎉', n: [1, null] }], []]);
    });

    it('FR-084: tells a new subscriber when there is nothing, and no event comes', async () => {
      const name = unique(kind);
      const client = await world.connected();
      const channel = client.subscribe(name);
      await next(channel, 'pusher:cache_miss');
      assert.equal(channel.subscribed, true);
      const heard = [];
      channel.bind_global((event) => heard.push(event));
      await caughtUp(channel);
      assert.deepEqual(heard, ['caught-up']);
    });

    it('gives the event after a reconnect as well', async () => {
      const name = unique(kind);
      const { client, channel } = await world.subscriber(name);
      await world.publish(name, 'state', { on: true });
      client.disconnect();
      const again = next(channel, 'state');
      client.connect();
      assert.deepEqual(await again, { on: true });
    });
  });
}

describe('the order on the wire', () => {
  it('is confirmation, cached event, live events; a miss has string data', async () => {
    const name = unique('cache-');
    const first = await world.socket();
    first.subscribe(name);
    assert.equal((await first.read()).event, 'pusher_internal:subscription_succeeded');
    assert.deepEqual(await first.read(), { event: 'pusher:cache_miss', channel: name, data: '{}' });
    await world.publish(name, 'one', '1');
    const second = await world.socket();
    second.subscribe(name);
    assert.equal((await second.read()).event, 'pusher_internal:subscription_succeeded');
    assert.deepEqual(await second.read(), { event: 'one', channel: name, data: '1' });
    await world.publish(name, 'two', '2');
    assert.equal((await second.read()).event, 'two');
  });

  it('keeps what is encrypted unread by the server', async () => {
    const name = unique('private-encrypted-cache-');
    await world.publish(name, 'news', { text: 'between us' });
    const socket = await world.socket();
    socket.subscribe(name, world.publisher.authorizeChannel(socket.id, name));
    const frame = await socket.readUntil('news');
    assert.deepEqual(Object.keys(JSON.parse(frame.data)).sort(), ['ciphertext', 'nonce']);
    assert.doesNotMatch(frame.data, /between us/);
  });
});

describe('client events', () => {
  it('are not cached', async () => {
    const name = unique('private-cache-');
    const { channel } = await world.subscriber(name);
    const other = await world.subscriber(name);
    const heard = next(other.channel, 'client-typing');
    assert.equal(channel.trigger('client-typing', {}), true);
    await heard;
    const late = await world.connected();
    await next(late.subscribe(name), 'pusher:cache_miss');
  });
});

describe('the HTTP API', () => {
  it('shows the cached event with the time that is left', async () => {
    const name = unique('cache-');
    const asked = () => world.ask(`/channels/${name}`, { info: 'cache,subscription_count' });
    assert.deepEqual(await asked(), { occupied: false, subscription_count: 0, cache: null });
    await world.publish(name, 'e', { a: 'é' });
    const { cache } = await asked();
    assert.equal(cache.data, JSON.stringify({ a: 'é' }));
    assert.ok(cache.ttl > 0 && cache.ttl <= 1800, String(cache.ttl));
  });

  it('refuses to tell of a cache where there is none', async () => {
    const { status } = await world.request('GET', '/channels/plain', { params: { info: 'cache' } });
    assert.equal(status, 400);
  });
});

describe('a short time to live', () => {
  it('ends in a miss', async () => {
    const brief = await World.open({ args: ['--cache-ttl', '0.2'] });
    try {
      const name = unique('cache-');
      await brief.publish(name, 'e', {});
      const client = await brief.connected();
      for (let missed = false; !missed;) {
        const channel = client.subscribe(name);
        const heard = [];
        channel.bind_global((event) => heard.push(event));
        await until('an event or a miss', () => heard.includes('e') || heard.includes('pusher:cache_miss'));
        missed = heard.includes('pusher:cache_miss');
        client.unsubscribe(name);
        channel.unbind_global();
      }
    } finally {
      await brief.close();
    }
  });
});
