// Client events: what one subscriber says to the others without a server of the application.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, record, until } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

/** The limit on the data of an event, in bytes. */
const DATA_LIMIT = 10_240;

/** An app as an operator writes it down. */
const CONFIG = `
[[apps]]
id = "app-id"
key = "app-key"
secret = "app-secret"
client_events = true
`;

describe('client events', () => {
  let world;
  before(async () => { world = await World.open({ config: CONFIG }); });
  after(() => world.close());

  it('FR-077: reach the two others of a private channel, and not the sender', async () => {
    const name = unique('private-');
    const [sender, ...others] = await Promise.all([1, 2, 3].map(() => world.subscriber(name)));
    const echoed = record(sender.channel, 'client-move');
    const received = others.map(({ channel }) => next(channel, 'client-move'));
    assert.equal(sender.channel.trigger('client-move', { x: 1, y: 'ü"' }), true);
    assert.deepEqual(await Promise.all(received), [{ x: 1, y: 'ü"' }, { x: 1, y: 'ü"' }]);
    const last = next(sender.channel, 'end');
    await world.publish(name, 'end', {});
    await last;
    assert.deepEqual(echoed, []);
  });

  it('reach the same user in another tab', async () => {
    const name = unique('presence-');
    const one = await world.subscriber(name, { user: 'alice' });
    const two = await world.subscriber(name, { user: 'alice' });
    const received = next(two.channel, 'client-typing');
    one.channel.trigger('client-typing', {});
    assert.deepEqual(await received, {});
  });

  it('carry the user id of the sender on a presence channel', async () => {
    const name = unique('presence-');
    const alice = await world.subscriber(name, { user: 'alice' });
    const bob = await world.subscriber(name, { user: 'bob' });
    const metadata = new Promise((resolve) => {
      bob.channel.bind('client-typing', (data, extra) => resolve([data, extra]));
    });
    alice.channel.trigger('client-typing', { on: true });
    assert.deepEqual(await metadata, [{ on: true }, { user_id: 'alice' }]);
  });

  it('carry no user id that the sender made up', async () => {
    const name = unique('private-');
    const bob = await world.subscriber(name);
    const socket = await world.socket();
    socket.subscribe(name, world.publisher.authorizeChannel(socket.id, name));
    await socket.readUntil('pusher_internal:subscription_succeeded');
    const frame = next(bob.client.connection, 'message', (message) => message.event === 'client-claim');
    socket.send('client-claim', { channel: name, data: {}, user_id: 'king', userId: 'king' });
    assert.deepEqual(await frame, { event: 'client-claim', channel: name, data: {} });
  });

  it('are string data on the wire, whatever JSON the sender gave', async () => {
    const name = unique('private-');
    const reader = await world.socket();
    reader.subscribe(name, world.publisher.authorizeChannel(reader.id, name));
    await reader.readUntil('pusher_internal:subscription_succeeded');
    const { channel } = await world.subscriber(name);
    const values = [{ a: { b: [1, 'é'] } }, 'plain text', 5, null, undefined, true, []];
    for (const value of values) channel.trigger('client-value', value);
    for (const value of values) {
      const frame = await reader.read();
      assert.equal(frame.event, 'client-value');
      assert.equal(typeof frame.data, 'string', JSON.stringify(frame));
      if (typeof value === 'string') assert.equal(frame.data, value);
      else if (value !== undefined) assert.deepEqual(JSON.parse(frame.data), value);
    }
  });

  it('FR-077: on a public channel are an error, and nobody hears them', async () => {
    const name = unique();
    const [sender, other] = [await world.subscriber(name), await world.subscriber(name)];
    await refusedAndUnheard(name, sender.client, other.channel, () => sender.channel.trigger('client-x', {}));
  });

  it('FR-076: without a subscription are an error, and nobody hears them', async () => {
    const name = unique('private-');
    const other = await world.subscriber(name);
    const sender = await world.connected();
    await refusedAndUnheard(name, sender, other.channel, () => sender.send_event('client-x', {}, name));
  });

  it('of more than the limit are an error, and nobody hears them; of the limit they pass', async () => {
    const name = unique('private-');
    const [sender, other] = [await world.subscriber(name), await world.subscriber(name)];
    const fits = 'x'.repeat(DATA_LIMIT);
    const received = next(other.channel, 'client-big');
    sender.channel.trigger('client-big', fits);
    assert.equal(await received, fits);
    await refusedAndUnheard(name, sender.client, other.channel, () => sender.channel.trigger('client-x', `${fits}x`));
  });

  it('under names that belong to the protocol or to the application are an error, and nobody hears them', async () => {
    const name = unique('private-');
    const [sender, other] = [await world.subscriber(name), await world.subscriber(name)];
    for (const event of ['news', 'pusher:fake', 'pusher_internal:member_added', 'x-client-y', 'Client-x']) {
      await refusedAndUnheard(name, sender.client, other.channel, () => sender.client.send_event(event, {}, name));
    }
  });

  it('FR-079: go out before the unsubscription that follows them', async () => {
    const name = unique('private-');
    const [sender, other] = [await world.subscriber(name), await world.subscriber(name)];
    const received = next(other.channel, 'client-bye');
    sender.channel.trigger('client-bye', { last: true });
    sender.client.unsubscribe(name);
    assert.deepEqual(await received, { last: true });
  });

  it('FR-080: over ten a second are answered with 4301, the connection stays, and the allowance comes back', async () => {
    const name = unique('private-');
    const [sender, other] = [await world.subscriber(name), await world.subscriber(name)];
    const [heard, errors] = [record(other.channel, 'client-n'), record(sender.client.connection, 'error')];
    const id = sender.client.connection.socket_id;
    const sent = 30;
    for (let n = 0; n < sent; n += 1) sender.channel.trigger('client-n', n);
    await until('an answer to each event', () => heard.length + errors.length >= sent);
    assert.ok(heard.length >= 10 && heard.length < sent, `${heard.length} of ${sent} were relayed`);
    assert.deepEqual(heard.slice(0, 10), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const error of errors) assert.equal((error.error ?? error).data.code, 4301);
    await until('a new allowance', () => {
      sender.channel.trigger('client-n', 'again');
      return heard.includes('again');
    });
    assert.equal(sender.client.connection.socket_id, id);
  });

  it('FR-080: have an allowance for each connection', async () => {
    const name = unique('private-');
    const [greedy, modest, other] = await Promise.all([1, 2, 3].map(() => world.subscriber(name)));
    const errors = record(greedy.client.connection, 'error');
    for (let n = 0; n < 30; n += 1) greedy.channel.trigger('client-n', n);
    await until('a refusal', () => errors.length > 0);
    const received = next(other.channel, 'client-modest');
    modest.channel.trigger('client-modest', {});
    assert.deepEqual(await received, {});
  });

  /** `act` must give the sender an error and the listener nothing. */
  async function refusedAndUnheard(name, sender, listener, act) {
    const frames = record(listener.pusher.connection, 'message');
    const error = next(sender.connection, 'message', (message) => message.event === 'pusher:error');
    act();
    assert.equal(typeof (await error).data.message, 'string');
    const last = next(listener, 'end');
    await world.publish(name, 'end', {});
    await last;
    assert.deepEqual(frames.map((frame) => frame.event), ['end']);
    assert.equal(sender.connection.state, 'connected');
  }
});

describe('an app without client events', () => {
  let world;
  before(async () => { world = await World.open({ config: CONFIG.replace('true', 'false') }); });
  after(() => world.close());

  it('FR-078: refuses them with an error that names the setting', async () => {
    const name = unique('private-');
    const [sender, other] = [await world.subscriber(name), await world.subscriber(name)];
    const heard = record(other.channel, 'client-x');
    const error = next(sender.client.connection, 'message', (message) => message.event === 'pusher:error');
    sender.channel.trigger('client-x', {});
    assert.match((await error).data.message, /client.?(events|messaging|messages)/i);
    const last = next(other.channel, 'end');
    await world.publish(name, 'end', {});
    await last;
    assert.deepEqual(heard, []);
  });
});

it('client events are on in the development app', async () => {
  const world = await World.open();
  try {
    const name = unique('private-');
    const [sender, other] = [await world.subscriber(name), await world.subscriber(name)];
    const received = next(other.channel, 'client-x');
    sender.channel.trigger('client-x', { on: true });
    assert.deepEqual(await received, { on: true });
  } finally {
    await world.close();
  }
});
