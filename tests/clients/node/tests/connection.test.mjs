// Connecting, being refused, and staying alive.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { next, record } from '../../shared/wait.mjs';
import { World, subscribed, unique } from './world.mjs';

describe('connecting with pusher-js', () => {
  let world;
  before(async () => { world = await World.open(); });
  after(() => world.close());

  it('gives every connection a socket id of its own', async () => {
    const one = await world.connected();
    const two = await world.connected();
    for (const client of [one, two]) assert.match(client.connection.socket_id, /^\d+\.\d+$/);
    assert.notEqual(one.connection.socket_id, two.connection.socket_id);
  });

  it('gives a new socket id after a disconnect and a connect', async () => {
    const client = await world.connected();
    const before = client.connection.socket_id;
    client.disconnect();
    assert.equal(client.connection.state, 'disconnected');
    client.connect();
    await next(client.connection, 'connected');
    assert.notEqual(client.connection.socket_id, before);
  });

  it('FR-027: answers an unknown key with 4001, and the client gives up', async () => {
    const client = world.client({ key: 'no-such-key' });
    assert.equal(client.connection.state, 'connecting');
    const errors = record(client.connection, 'error');
    const states = record(client.connection, 'state_change');
    await next(client.connection, 'disconnected');
    // Long enough for the retry that must not come: pusher-js would make it after one second.
    await sleep(1_300);
    assert.deepEqual(states, [{ previous: 'connecting', current: 'disconnected' }]);
    assert.ok(errors.some((error) => error.data?.code === 4001 || error.error?.data?.code === 4001),
      `no 4001 in ${JSON.stringify(errors)}`);
  });

  it('answers the ping of a quiet client, so that it stays', async () => {
    const client = world.client({ activityTimeout: 300, pongTimeout: 20_000 });
    await next(client.connection, 'connected');
    const id = client.connection.socket_id;
    await next(client.connection, 'message', (message) => message.event === 'pusher:pong');
    await next(client.connection, 'message', (message) => message.event === 'pusher:pong');
    assert.equal(client.connection.socket_id, id);
  });

  it('serves many clients of one process at once', async () => {
    const name = unique();
    const clients = await Promise.all(Array.from({ length: 50 }, () => world.connected()));
    const channels = await Promise.all(clients.map((client) => subscribed(client, name)));
    const received = channels.map((channel) => next(channel, 'hello'));
    await world.publish(name, 'hello', { to: 'all' });
    assert.deepEqual(await Promise.all(received), Array(50).fill({ to: 'all' }));
  });
});

describe('the handshake as it is on the wire', () => {
  let world;
  before(async () => { world = await World.open(); });
  after(() => world.close());

  it('greets first, with string data and an activity timeout', async () => {
    const socket = world.rawSocket();
    const greeting = await socket.read();
    assert.equal(greeting.event, 'pusher:connection_established');
    assert.equal(typeof greeting.data, 'string');
    const data = JSON.parse(greeting.data);
    assert.match(data.socket_id, /^\d+\.\d+$/);
    assert.ok(data.activity_timeout > 0);
  });

  for (const query of ['?protocol=5', '?protocol=6', '?protocol=7', '', '?version=1&protocol=7&colour=blue']) {
    it(`accepts a client that asks with "${query}"`, async () => {
      const greeting = await world.rawSocket(query).read();
      assert.equal(greeting.event, 'pusher:connection_established');
    });
  }

  for (const [query, code] of [['?protocol=4', 4007], ['?protocol=8', 4007], ['?protocol=seven', 4006]]) {
    it(`refuses "${query}" with ${code}`, async () => {
      const socket = world.rawSocket(query);
      const error = await socket.read();
      assert.equal(error.event, 'pusher:error');
      assert.equal(error.data.code, code);
      assert.equal((await socket.closed).code, code);
    });
  }

  it('FR-027: says 4001 as an event and as the close code', async () => {
    const socket = world.rawSocket('?protocol=7', '/app/NOPE');
    const error = await socket.read();
    assert.equal(error.event, 'pusher:error');
    assert.equal(error.data.code, 4001);
    assert.equal(typeof error.data.message, 'string');
    assert.equal((await socket.closed).code, 4001);
  });

  it('FR-022: answers requests that are no upgrade with a clean 4xx', async () => {
    for (const method of ['GET', 'HEAD', 'POST']) {
      const response = await fetch(`${world.server.url}/app/${world.app.key}`, { method });
      assert.ok(response.status >= 400 && response.status < 500, `${method}: ${response.status}`);
      await response.arrayBuffer();
    }
    await world.connected();
  });

  it('answers frames that it cannot read with an error, and goes on', async () => {
    const socket = await world.socket();
    for (const text of ['not json', '[]', '5', '{}', '{"event":5}', '{"event":"no-such-event"}', '']) {
      socket.sendText(text);
      const error = await socket.read();
      assert.equal(error.event, 'pusher:error', `after ${text}`);
      assert.equal(error.data.code, null, `after ${text}`);
      assert.equal(typeof error.data.message, 'string', `after ${text}`);
    }
    await socket.fence();
  });

  it('answers pings in every form that clients send', async () => {
    const socket = await world.socket();
    for (const text of ['{"event":"pusher:ping","data":{}}', '{"event": "pusher:ping"}', '{"event":"pusher:ping","data":""}']) {
      socket.sendText(text);
      assert.equal((await socket.read()).event, 'pusher:pong');
    }
    const echoed = new Promise((resolve) => socket.socket.once('pong', (bytes) => resolve(bytes.toString())));
    socket.socket.ping('are you there');
    assert.equal(await echoed, 'are you there');
  });

  it('FR-030: returns the close code of a client that leaves', async () => {
    const socket = await world.socket();
    socket.socket.close(4321, 'bye');
    assert.equal((await socket.closed).code, 4321);
  });
});
