// Users who watch other users come and go, and connections that must prove themselves.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, until } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

let world;
before(async () => { world = await World.open({ args: ['--watchlists'] }); });
after(() => world.close());

/** A client that signs in as `id`; `sees` lists what it is told, as `+id` and `-id`. */
async function signedIn(id, watchlist = []) {
  const client = await world.connected({
    userAuthentication: {
      customHandler: ({ socketId }, callback) => {
        callback(null, world.publisher.authenticateUser(socketId, { id, watchlist }));
      },
    },
  });
  const sees = [];
  client.user.watchlist.bind('online', (event) => sees.push(...event.user_ids.map((user) => `+${user}`)));
  client.user.watchlist.bind('offline', (event) => sees.push(...event.user_ids.map((user) => `-${user}`)));
  client.signin();
  await client.user.signinDonePromise;
  return { client, sees };
}

describe('a watchlist', () => {
  it('tells the state first and then every change, once for a user with several tabs', async () => {
    const [ann, bob] = [unique('ann-'), unique('bob-')];
    const annHere = await signedIn(ann);
    const watcher = await signedIn(unique('w-'), [ann, bob]);
    await until('the state', () => watcher.sees.length === 2);
    assert.deepEqual(watcher.sees.sort(), [`+${ann}`, `-${bob}`].sort());
    watcher.sees.length = 0;
    const tabs = [await signedIn(bob), await signedIn(bob)];
    await until('bob', () => watcher.sees.length === 1);
    tabs[0].client.disconnect();
    annHere.client.disconnect();
    await until('ann has left', () => watcher.sees.length === 2);
    tabs[1].client.disconnect();
    await until('bob has left', () => watcher.sees.length === 3);
    assert.deepEqual(watcher.sees, [`+${bob}`, `-${ann}`, `-${bob}`]);
  });

  it('sees the application end the connections of a user', async () => {
    const id = unique('gone-');
    const user = await signedIn(id);
    const watcher = await signedIn(unique('w-'), [id]);
    await until('the state', () => watcher.sees.length === 1);
    const ended = next(user.client.connection, 'disconnected');
    await world.publisher.terminateUserConnections(id);
    await ended;
    await until('the end', () => watcher.sees.length === 2);
    assert.deepEqual(watcher.sees, [`+${id}`, `-${id}`]);
  });

  it('of more than a hundred is cut, with an error that leaves the connection open', async () => {
    const ids = Array.from({ length: 120 }, (_, n) => `${unique('many-')}-${n}`);
    const socket = await world.socket();
    socket.send('pusher:signin', { data: world.publisher.authenticateUser(socket.id, { id: unique('w-'), watchlist: ids }) });
    assert.equal((await socket.read()).event, 'pusher:signin_success');
    const error = await socket.read();
    assert.equal(error.data.code, 4302);
    assert.match(error.data.message, /120 users; the limit is 100/);
    const { events } = JSON.parse((await socket.readUntil('pusher_internal:watchlist_events')).data);
    assert.deepEqual(events.map((event) => event.name), ['offline']);
    assert.deepEqual(events[0].user_ids.sort(), ids.slice(0, 100).sort());
  });
});

describe('an app that asks for a proof', () => {
  it('closes who gives none in time, for good, and keeps who signs in or subscribes', async () => {
    const strict = await World.open({ args: ['--user-authentication', '--user-authentication-timeout', '0.5'] });
    try {
      const silent = await strict.connected();
      const ended = next(silent.connection, 'disconnected');
      const user = await strict.connected({ user: 'u' });
      user.signin();
      await user.user.signinDonePromise;
      const { client: subscriber } = await strict.subscriber(unique('private-'));
      await ended;
      const late = await strict.connected();
      await next(late.connection, 'disconnected');
      assert.deepEqual([user, subscriber].map((client) => client.connection.state), ['connected', 'connected']);
    } finally {
      await strict.close();
    }
  });
});
