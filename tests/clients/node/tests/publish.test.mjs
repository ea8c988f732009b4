// Publishing with the official SDK: to one channel, to several, in batches, with attributes.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, record } from '../../shared/wait.mjs';
import { World, subscribed, unique } from './world.mjs';

let world;
before(async () => { world = await World.open(); });
after(() => world.close());

/** Resolves once `channel` has received an event that is published now: what came before is there. */
async function caughtUp(channel) {
  const last = next(channel, 'caught-up');
  await world.publish(channel.name, 'caught-up', {});
  await last;
}

describe('trigger', () => {
  it('answers an object, and works without a subscriber', async () => {
    assert.deepEqual(await world.publish(unique(), 'news', { a: 1 }), {});
  });

  it('reaches every channel that is named', async () => {
    const names = [unique(), unique('private-'), unique('presence-')];
    const client = await world.connected();
    const channels = [];
    for (const name of names) channels.push(await subscribed(client, name));
    const received = channels.map((channel) => next(channel, 'news'));
    await world.publish(names, 'news', { to: 'three' });
    assert.deepEqual(await Promise.all(received), Array(3).fill({ to: 'three' }));
  });

  it('delivers once to a channel that is named twice', async () => {
    const name = unique();
    const { channel } = await world.subscriber(name);
    const seen = record(channel, 'news');
    await world.publish([name, name], 'news', 1);
    await caughtUp(channel);
    assert.deepEqual(seen, [1]);
  });

  it('FR-113: takes 100 channels', async () => {
    const names = Array.from({ length: 100 }, () => unique());
    const { channel } = await world.subscriber(names[99]);
    const received = next(channel, 'news');
    await world.publish(names, 'news', {});
    assert.deepEqual(await received, {});
  });

  it('FR-092: leaves out the socket that is named, on every channel', async () => {
    const names = [unique(), unique('private-')];
    const [sender, other] = [await world.connected(), await world.connected()];
    const channels = { sender: [], other: [] };
    for (const name of names) {
      channels.sender.push(await subscribed(sender, name));
      channels.other.push(await subscribed(other, name));
    }
    const unheard = channels.sender.map((channel) => record(channel, 'news'));
    const received = channels.other.map((channel) => next(channel, 'news'));
    await world.publish(names, 'news', { by: 'sender' }, { socket_id: sender.connection.socket_id });
    await Promise.all(received);
    for (const channel of channels.sender) await caughtUp(channel);
    assert.deepEqual(unheard, [[], []]);
  });

  it('leaves out nobody for a socket id that nobody has', async () => {
    const { channel } = await world.subscriber(unique());
    const received = next(channel, 'news');
    await world.publish(channel.name, 'news', 1, { socket_id: '1.1' });
    assert.equal(await received, 1);
  });

  it('gives the attributes that are asked for, where they apply', async () => {
    const [open, presence, empty] = [unique(), unique('presence-'), unique()];
    for (const user of ['a', 'a', 'b']) {
      const { client } = await world.subscriber(presence, { user });
      await subscribed(client, open);
    }
    const answer = await world.publish([open, presence, empty], 'news', {}, { info: 'user_count,subscription_count' });
    assert.deepEqual(Object.keys(answer.channels).sort(), [open, presence, empty].sort());
    assert.equal(answer.channels[open].subscription_count, 3);
    assert.equal(answer.channels[presence].user_count, 2);
    assert.equal(answer.channels[empty].subscription_count, 0);
    assert.ok(!('user_count' in answer.channels[open]));
  });

  it('passes data of the limit, and data that is not a string as JSON', async () => {
    const { channel } = await world.subscriber(unique());
    const big = next(channel, 'big');
    await world.publish(channel.name, 'big', 'x'.repeat(10_240));
    assert.equal((await big).length, 10_240);
    const value = next(channel, 'value');
    const body = JSON.stringify({ name: 'value', channel: channel.name, data: { not: ['a', 'string'] } });
    assert.equal((await world.request('POST', '/events', { body })).status, 200);
    assert.deepEqual(await value, { not: ['a', 'string'] });
  });

  it('reaches 100 subscribers with the same order of two publishers', async () => {
    const name = unique();
    const clients = await Promise.all(Array.from({ length: 100 }, () => world.subscriber(name)));
    const seen = clients.map(({ channel }) => record(channel, 'n'));
    const publishers = [world.publisherWith({ agent: undefined }), world.publisherWith({ agent: undefined })];
    await Promise.all(publishers.map(async (publisher, who) => {
      for (let n = 0; n < 50; n += 1) await publisher.trigger(name, 'n', `${who}:${n}`);
    }));
    const last = clients.map(({ channel }) => next(channel, 'last'));
    await world.publish(name, 'last', {});
    await Promise.all(last);
    assert.equal(seen[0].length, 100);
    for (const who of [0, 1]) {
      const own = seen[0].filter((text) => text.startsWith(`${who}:`));
      assert.deepEqual(own, Array.from({ length: 50 }, (_, n) => `${who}:${n}`));
    }
    for (const each of seen) assert.deepEqual(each, seen[0]);
  });
});

describe('triggerBatch', () => {
  it('delivers every event, in order', async () => {
    const [left, right] = [unique(), unique('private-')];
    const client = await world.connected();
    const [a, b] = [await subscribed(client, left), await subscribed(client, right)];
    const [atA, atB] = [record(a, 'n'), record(b, 'n')];
    const batch = Array.from({ length: 10 }, (_, n) => ({ channel: n % 2 ? right : left, name: 'n', data: { n } }));
    const response = await world.publisher.triggerBatch(batch);
    assert.deepEqual(await response.json(), {});
    await caughtUp(a);
    await caughtUp(b);
    assert.deepEqual(atA.map((data) => data.n), [0, 2, 4, 6, 8]);
    assert.deepEqual(atB.map((data) => data.n), [1, 3, 5, 7, 9]);
  });

  it('leaves out the socket of each event, and gives attributes index by index', async () => {
    const [open, presence] = [unique(), unique('presence-')];
    const { client, channel } = await world.subscriber(open, { user: 'a' });
    const second = await subscribed(client, presence);
    const [unheard, heard] = [record(channel, 'n'), record(second, 'n')];
    const response = await world.publisher.triggerBatch([
      { channel: open, name: 'n', data: 1, socket_id: client.connection.socket_id },
      { channel: presence, name: 'n', data: 2, info: 'user_count' },
    ]);
    assert.deepEqual(await response.json(), { batch: [{}, { user_count: 1 }] });
    await caughtUp(channel);
    await caughtUp(second);
    assert.deepEqual([unheard, heard], [[], [2]]);
  });

  it('carries encrypted events', async () => {
    const name = unique('private-encrypted-');
    const { channel } = await world.subscriber(name);
    const received = next(channel, 'secret');
    await world.publisher.triggerBatch([{ channel: name, name: 'secret', data: { s: 1 } }]);
    assert.deepEqual(await received, { s: 1 });
  });
});
