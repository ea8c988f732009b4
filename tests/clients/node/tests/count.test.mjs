// Subscribers that are told how many they are.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, until } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

let world;
before(async () => { world = await World.open({ args: ['--subscription-count'] }); });
after(() => world.close());

/** A pusher-js client that is told `count` when it subscribes. */
async function told(name, count) {
  const client = await world.connected();
  const channel = client.subscribe(name);
  await next(channel, 'pusher:subscription_count', (data) => data.subscription_count === count);
  return { client, channel };
}

describe('the number of subscribers', () => {
  for (const kind of ['', 'private-', 'private-encrypted-', 'cache-']) {
    it(`of a ${kind || 'public '}channel is known to pusher-js`, async () => {
      const name = unique(kind);
      const first = await told(name, 1);
      const second = await told(name, 2);
      await until('both', () => first.channel.subscriptionCount === 2);
      assert.equal(second.channel.subscriptionCount, 2);
      second.client.disconnect();
      await until('one again', () => first.channel.subscriptionCount === 1);
      assert.deepEqual(await world.ask(`/channels/${name}`, { info: 'subscription_count' }),
        { occupied: true, subscription_count: 1 });
    });
  }

  it('is not sent on presence channels', async () => {
    const { channel } = await world.subscriber(unique('presence-'));
    const heard = [];
    channel.bind_global((event) => heard.push(event));
    const last = next(channel, 'last');
    await world.publish(channel.name, 'last', {});
    await last;
    assert.deepEqual(heard, ['last']);
  });

  it('beyond a hundred comes late, but comes', async () => {
    const name = unique();
    const first = await told(name, 1);
    const sockets = await Promise.all(Array.from({ length: 120 }, () => world.socket()));
    for (const socket of sockets) socket.subscribe(name);
    await until('all', () => first.channel.subscriptionCount === 121);
  });
});
