// Dev mode, as somebody meets it who tests their own application with pusher-js and the node SDK.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, until } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

let world;
before(async () => {
  const app = { id: '12345', key: 'a-key-of-my-own', secret: 'a secret that the server does not know' };
  world = await World.open({ app, args: ['--dev'] });
});
after(() => world?.close());

/** Asks for something to go wrong. */
async function fault(wish) {
  const response = await fetch(`${world.server.url}/dev/faults`, { method: 'POST', body: JSON.stringify(wish) });
  assert.equal(response.status, 200, await response.text());
}

describe('serve --dev', () => {
  it('takes any key: private channels, presence and publishing work without a configuration', async () => {
    const name = unique('presence-');
    const { channel } = await world.subscriber(name, { user: 'ann' });
    const heard = next(channel, 'hello');
    assert.deepEqual(await world.publish(name, 'hello', { n: 1 }), {});
    assert.deepEqual(await heard, { n: 1 });
    assert.deepEqual(await world.ask(`/channels/${name}/users`), { users: [{ id: 'ann' }] });
    await until('the log tells of it', () => /published.*hello/.test(world.server.log));
  });

  for (const [what, wish] of [['closed with 4200', { fault: 'close', code: 4200 }], ['cut', { fault: 'cut' }]]) {
    it(`shows how a client comes back that was ${what}`, async () => {
      const name = unique('private-');
      const { client, channel } = await world.subscriber(name);
      const before = client.connection.socket_id;
      const back = next(channel, 'pusher:subscription_succeeded');
      await fault(wish);
      await back;
      assert.notEqual(client.connection.socket_id, before);
    });
  }

  it('shows what a client does whose key was rotated', async () => {
    const client = await world.connected();
    const error = next(client.connection, 'error');
    const ended = next(client.connection, 'disconnected');
    await fault({ fault: 'rotate', key: world.app.key });
    assert.equal((await error).data.code, 4001);
    await ended;
    await assert.rejects(world.publish(unique(), 'hello', {}), { status: 401 });
    await fault({ fault: 'none' });
    await world.connected();
  });
});
