// Options that change while the program runs, as pusher-js and the node SDK meet them.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

const app = { id: '1', key: 'reload-key', secret: 'a long random text' };

/** A configuration with these lines above its app. */
const config = (lines) => `${lines}\n[[apps]]\nid = "1"\nkey = "${app.key}"\nsecret = "${app.secret}"\n`;

let world;
before(async () => { world = await World.open({ app, config: config('activity_timeout = 60') }); });
after(() => world?.close());

describe('SIGHUP', () => {
  it('puts options in force, and drops nobody', async () => {
    const name = unique('presence-');
    const { client, channel } = await world.subscriber(name, { user: 'ann' });
    const drops = [];
    client.connection.bind('state_change', (change) => drops.push(change));
    const { socket_id: socketId, activityTimeout } = client.connection;
    assert.equal(activityTimeout, 60_000);

    const told = await world.server.reload(config('activity_timeout = 7\nmax_body_bytes = 2000\nthreads = 777'));
    assert.match(told, /INFO.*`activity_timeout` has changed.*in force/);
    assert.match(told, /WARN.*`threads` has changed.*next start/);
    const late = await world.connected();
    assert.equal(late.connection.activityTimeout, 7_000, 'who comes now is told the new time');
    assert.equal(client.connection.activityTimeout, 60_000, 'and who was there keeps what it was told');

    const heard = next(channel, 'hello');
    await world.publish(name, 'hello', { n: 1 });
    assert.deepEqual(await heard, { n: 1 });
    await assert.rejects(world.publish(name, 'hello', 'x'.repeat(3000)), { status: 413 });
    assert.deepEqual(await world.ask(`/channels/${name}/users`), { users: [{ id: 'ann' }] });
    assert.equal(client.connection.socket_id, socketId);
    assert.deepEqual(drops, []);
  });

  it('changes nothing when the file has a fault, and says in which line', async () => {
    await world.server.reload(config('activity_timeout = 9'));
    for (const [lines, place] of [
      ['max_body_bytes = 10\nactivty_timeout = 3', /tidings\.toml:2:1: .*did you mean `activity_timeout`/],
      ['max_body_bytes = 10\nactivity_timeout = 0', /tidings\.toml:2: option `activity_timeout`/],
    ]) {
      const told = await world.server.reload(config(lines));
      assert.match(told, place);
      assert.match(told, /all stays as it was/);
    }
    const client = await world.connected();
    assert.equal(client.connection.activityTimeout, 9_000);
    await world.publish(unique(), 'hello', 'x'.repeat(3000));
  });
});
