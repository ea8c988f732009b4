// A function at the edge: `pusher-http-edge` in a runtime that has the web's own interfaces (fetch, crypto)
// and nothing of node.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { EdgeVM } from '@edge-runtime/vm';
import { build } from 'esbuild';
import { next } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

let world;
let edge;
before(async () => {
  world = await World.open();
  const { outputFiles } = await build({
    stdin: {
      contents: 'import Pusher from "pusher-http-edge"; globalThis.Pusher = Pusher;',
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    format: 'iife',
    platform: 'browser',
    write: false,
    logLevel: 'error',
  });
  edge = new EdgeVM({ initialCode: outputFiles[0].text });
});
after(() => world?.close());

/** Runs the body of an async function at the edge, with an SDK in `pusher`; what it returns comes back as JSON. */
async function atTheEdge(body, options = {}) {
  const { id, key, secret } = world.app;
  const { port } = world.server;
  const config = { appId: id, key, secret, host: '127.0.0.1', port, useTLS: false, ...options };
  return JSON.parse(await edge.evaluate(`(async () => {
    const pusher = new Pusher(${JSON.stringify(config)});
    return JSON.stringify((await (async () => { ${body} })()) ?? null);
  })()`));
}

describe('pusher-http-edge in an edge runtime', () => {
  it('has nothing of node there', async () => {
    assert.equal(await atTheEdge('return typeof process + typeof require + typeof fetch;'), 'undefinedundefinedfunction');
  });

  it('publishes, and the subscriber gets the data as it was', async () => {
    const name = unique();
    const { channel } = await world.subscriber(name);
    const heard = next(channel, 'hello');
    const answer = await atTheEdge(`
      const response = await pusher.trigger(${JSON.stringify(name)}, 'hello', { text: 'Zoë 🎈' });
      return [response.status, await response.json()];
    `);
    assert.deepEqual(answer, [200, {}]);
    assert.deepEqual(await heard, { text: 'Zoë 🎈' });
  });

  it('publishes a batch, and to one user', async () => {
    const name = unique();
    const { client, channel } = await world.subscriber(name, { user: 'edgar' });
    const own = next(client.connection, 'message', (message) => message.channel === '#server-to-user-edgar');
    client.signin();
    await own;
    const heard = next(channel, 'b');
    await atTheEdge(`
      await pusher.triggerBatch([{ channel: ${JSON.stringify(name)}, name: 'b', data: { n: 1 } }]);
    `);
    assert.deepEqual(await heard, { n: 1 });
    const message = new Promise((resolve) => { client.user.bind('message', resolve); });
    await atTheEdge("await pusher.sendToUser('edgar', 'message', { n: 2 });");
    assert.deepEqual(await message, { n: 2 });
  });

  it('asks who is there', async () => {
    const name = unique('presence-');
    await world.subscriber(name, { user: 'ann' });
    const users = await atTheEdge(`
      return (await pusher.get({ path: '/channels/${name}/users' })).json();
    `);
    assert.deepEqual(users, { users: [{ id: 'ann' }] });
  });

  it('authorises channels and users, and the server takes it', async () => {
    const socket = await world.socket();
    const name = unique('presence-');
    const granted = await atTheEdge(`
      return pusher.authorizeChannel('${socket.id}', '${name}', { user_id: 'eve', user_info: { n: 'Zoë' } });
    `);
    socket.subscribe(name, granted);
    const answer = await socket.read();
    assert.equal(answer.event, 'pusher_internal:subscription_succeeded');
    assert.deepEqual(JSON.parse(answer.data).presence.hash, { eve: { n: 'Zoë' } });
    const user = await atTheEdge(`return pusher.authenticateUser('${socket.id}', { id: 'eve' });`);
    socket.send('pusher:signin', { data: user });
    assert.equal((await socket.read()).event, 'pusher:signin_success');
  });

  it('is told what is wrong', async () => {
    const told = await atTheEdge(`
      try { await pusher.trigger('a', 'b', {}); } catch (error) { return [error.status, error.body]; }
    `, { secret: 'wrong' });
    assert.equal(told[0], 401);
    assert.match(told[1], /auth_key=app-key/);
  });
});
