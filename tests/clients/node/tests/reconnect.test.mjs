// The server goes away and comes back on the same port: nobody has to do anything.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { next, record, until } from '../../shared/wait.mjs';
import { World, subscribed, unique } from './world.mjs';

/** Runs `test` with a server of its own, since it stops it. */
function withWorld(test) {
  return async () => {
    const world = await World.open();
    try {
      await test(world);
    } finally {
      await world.close();
    }
  };
}

describe('a server that is asked to end', () => {
  it('FR-030: closes every connection with 4200, and ends', withWorld(async (world) => {
    const sockets = await Promise.all(Array.from({ length: 20 }, () => world.socket()));
    const client = await world.connected();
    const told = record(client.connection, 'error');
    const left = next(client.connection, 'state_change', (change) => change.previous === 'connected');
    await world.server.stop('SIGTERM');
    for (const socket of sockets) assert.equal((await socket.closed).code, 4200);
    await left;
    assert.ok(told.some((error) => (error.data ?? error.error?.data)?.code === 4200), JSON.stringify(told));
    client.disconnect();
  }));

  it('does so on an interrupt from the keyboard as well', withWorld(async (world) => {
    const socket = await world.socket();
    await world.server.stop('SIGINT');
    assert.equal((await socket.closed).code, 4200);
  }));

  it('ends although a client does not answer the close', withWorld(async (world) => {
    const socket = await world.socket();
    socket.socket.pause();
    await world.server.stop('SIGTERM');
    socket.kill();
  }));
});

describe('a client whose server restarts', () => {
  for (const signal of ['SIGTERM', 'SIGKILL']) {
    it(`FR-046, FR-057, FR-059, FR-061: comes back to everything after ${signal}`, withWorld(async (world) => {
      const names = [unique(), unique('private-'), unique('presence-'), unique('private-encrypted-'), unique('cache-')];
      const client = await world.connected({ user: 'alice' });
      const channels = [];
      for (const name of names) channels.push(await subscribed(client, name));
      const seen = channels.map((channel) => record(channel, 'news'));
      const oldId = client.connection.socket_id;

      const back = channels.map((channel) => next(channel, 'pusher:subscription_succeeded'));
      await world.server.stop(signal);
      await world.server.resume();
      await Promise.all(back);

      const newId = client.connection.socket_id;
      assert.notEqual(newId, oldId);
      const asked = world.auth.calls.filter((call) => call.socketId === newId).map((call) => call.channel);
      assert.deepEqual(asked.sort(), names.filter((name) => name.startsWith('pr')).sort());
      const last = channels.map((channel) => next(channel, 'end'));
      for (const name of names) {
        await world.publish(name, 'news', { after: signal });
        await world.publish(name, 'end', {});
      }
      await Promise.all(last);
      assert.deepEqual(seen, Array(names.length).fill([{ after: signal }]));
      assert.equal(channels[2].members.count, 1);
      assert.equal(channels[2].members.me.id, 'alice');
    }));
  }

  it('FR-046: three times, has one handler call for one event', withWorld(async (world) => {
    const name = unique('private-');
    const { client, channel } = await world.subscriber(name);
    const seen = record(channel, 'news');
    for (let round = 0; round < 3; round += 1) {
      const back = next(channel, 'pusher:subscription_succeeded');
      await world.server.stop('SIGKILL');
      await world.server.resume();
      await back;
    }
    const last = next(channel, 'end');
    await world.publish(name, 'news', 'once');
    await world.publish(name, 'end', {});
    await last;
    assert.deepEqual(seen, ['once']);
    assert.equal(client.connection.state, 'connected');
  }));

  it('FR-069: sees the members that are there now, not those of before', withWorld(async (world) => {
    const name = unique('presence-');
    const alice = await world.subscriber(name, { user: 'alice' });
    const bob = await world.subscriber(name, { user: 'bob' });
    assert.equal(bob.channel.members.count, 2);
    const back = next(alice.channel, 'pusher:subscription_succeeded');
    bob.client.disconnect();
    await world.server.stop('SIGKILL');
    await world.server.resume();
    await back;
    assert.deepEqual(Object.keys(alice.channel.members.members), ['alice']);
  }));

  it('FR-056: does not come back to a channel that it left meanwhile', withWorld(async (world) => {
    const [kept, left] = [unique('private-'), unique('private-')];
    const client = await world.connected();
    const channel = await subscribed(client, kept);
    await subscribed(client, left);
    const back = next(channel, 'pusher:subscription_succeeded');
    await world.server.stop('SIGKILL');
    client.unsubscribe(left);
    await world.server.resume();
    await back;
    assert.deepEqual(Object.keys((await world.ask('/channels')).channels), [kept]);
  }));

  it('signs in again', withWorld(async (world) => {
    const client = await world.connected({ user: 'alice' });
    client.signin();
    await client.user.signinDonePromise;
    const again = next(client.connection, 'message', (message) => message.event === 'pusher_internal:subscription_succeeded'
      && message.channel === '#server-to-user-alice');
    await world.server.stop('SIGKILL');
    await world.server.resume();
    await again;
    const received = next(client.user, 'greeting');
    await world.publisher.sendToUser('alice', 'greeting', 'welcome back');
    assert.equal(await received, 'welcome back');
  }));

  it('a publisher that keeps its connections finds the new server', withWorld(async (world) => {
    await world.publish(unique(), 'news', {});
    await world.server.stop('SIGTERM');
    await assert.rejects(world.publish(unique(), 'news', {}));
    await world.server.resume();
    await until('a publish that works', () => world.publish(unique(), 'news', {}).then(() => true, () => false));
  }));
});
