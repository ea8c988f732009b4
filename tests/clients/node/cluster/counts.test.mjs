// Many channels over four servers: only numbers travel between them, and a dead one holds up no answer.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import WebSocket from 'ws';
import { until } from '../../shared/wait.mjs';
import { APP, Bus, Cluster, unique } from './bus.mjs';

const CHANNELS = 10_000;
const ON_ONE_SOCKET = 1_000;

describe('10,000 channels over four servers', () => {
  let bus;
  let cluster;
  const sockets = [];
  before(async () => {
    bus = await Bus.start('redis');
    cluster = await Cluster.open(bus, 4);
    await cluster.together();
  });
  after(async () => {
    sockets.forEach((socket) => socket.terminate());
    await cluster?.close();
    await bus?.close();
  });

  /** A socket of a server that is subscribed to a thousand channels, from the number `first` on. */
  function subscribe(node, prefix, first) {
    const socket = new WebSocket(`${node.webSocketUrl}/app/${APP.key}?protocol=7`);
    sockets.push(socket);
    let subscribed = 0;
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.on('message', (text) => {
        const { event } = JSON.parse(text);
        if (event === 'pusher:connection_established') {
          for (let n = first; n < first + ON_ONE_SOCKET; n += 1) {
            socket.send(JSON.stringify({ event: 'pusher:subscribe', data: { channel: `${prefix}-${n}` } }));
          }
        } else if (event === 'pusher_internal:subscription_succeeded') {
          subscribed += 1;
          if (subscribed === ON_ONE_SOCKET) resolve();
        }
      });
    });
  }

  it('FR-124: are counted right by each of them, and an answer does not wait for one that is dead', async () => {
    const prefix = unique('many-');
    const count = async (node) => {
      const { channels } = await cluster.ask(node, '/channels', { filter_by_prefix: prefix, info: 'subscription_count' });
      const names = Object.keys(channels);
      return { names: names.length, one: names.every((name) => channels[name].subscription_count === 1) };
    };
    const { nodes } = cluster;
    const parts = Array.from({ length: CHANNELS / ON_ONE_SOCKET }, (_, at) => at);
    await Promise.all(parts.map((at) => subscribe(nodes[at % 4], prefix, at * ON_ONE_SOCKET)));
    for (const node of nodes) {
      await until('all channels', async () => (await count(node)).names === CHANNELS);
      assert.deepEqual(await count(node), { names: CHANNELS, one: true });
    }
    const here = parts.filter((at) => at % 4 !== 3).length * ON_ONE_SOCKET;
    await nodes[3].stop('SIGKILL');
    const first = await count(nodes[0]);
    assert.ok(first.names === CHANNELS || first.names === here, 'answered at once, with what is known');
    for (const node of nodes.slice(0, 3)) {
      await until('the dead one to be forgotten', async () => (await count(node)).names === here);
    }
  });
});
