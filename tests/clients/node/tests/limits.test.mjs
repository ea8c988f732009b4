// Limits that are not the defaults, and texts that are not as an SDK writes them.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { startAuth } from '../../shared/auth.mjs';
import { next } from '../../shared/wait.mjs';
import { World, subscribed, unique } from './world.mjs';

/** A server with one option more, for one test. */
async function withServer(args, test) {
  const world = await World.open({ args });
  try {
    await test(world);
  } finally {
    await world.close();
  }
}

describe('FR-112: the limit of an event', () => {
  it('when raised lets larger events through, unchanged', () => withServer(['--max-event-bytes', '51200'], async (world) => {
    const { channel } = await world.subscriber('large');
    const heard = next(channel, 'news');
    const data = 'x'.repeat(51_200);
    await world.publish('large', 'news', data);
    assert.equal(await heard, data);
    await assert.rejects(world.publish('large', 'news', `${data}x`), { status: 413 });
  }));

  it('when lowered is a 413 of the SDK that names limit and size', () => withServer(['--max-event-bytes', '5120'], async (world) => {
    await world.publish('small', 'news', 'x'.repeat(5_120));
    await assert.rejects(world.publish('small', 'news', 'x'.repeat(5_121)), (error) => {
      assert.equal(error.status, 413);
      assert.match(error.body, /5121.*5120|5120.*5121/);
      return true;
    });
  }));
});

describe('FR-087: channel_data with spaces, escapes and letters of every kind', () => {
  it('is verified and understood as it was signed', () => withServer([], async (world) => {
    const name = unique('presence-');
    const odd = '{ "user_id" :\t"b\\u00f6b" , "user_info": {"name" : "B\\u00f6b \\"the\\/one\\" 🎈"}  }';
    const auth = await startAuth(world.publisher, (request, response) => {
      request.setEncoding('utf8').on('data', (text) => {
        const socketId = new URLSearchParams(text).get('socket_id');
        const signature = createHmac('sha256', world.app.secret).update(`${socketId}:${name}:${odd}`).digest('hex');
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ auth: `${world.app.key}:${signature}`, channel_data: odd }));
      });
      return true;
    });
    try {
      const client = await world.connected({ endpoint: `${auth.url}/odd` });
      const channel = await subscribed(client, name);
      assert.deepEqual(channel.members.me, { id: 'böb', info: { name: 'Böb "the/one" 🎈' } });
      assert.deepEqual(await world.ask(`/channels/${name}/users`), { users: [{ id: 'böb' }] });
    } finally {
      await auth.close();
    }
  }));
});
