// Users who sign in: events for one user, and ending all connections of one user.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, record } from '../../shared/wait.mjs';
import { World, subscribed, unique } from './world.mjs';

let world;
before(async () => { world = await World.open(); });
after(() => world.close());

/** A client that is signed in as `user` and has its own channel. */
async function signedIn(user) {
  const client = await world.connected({ user });
  const own = next(client.connection, 'message', (message) => message.event === 'pusher_internal:subscription_succeeded'
    && message.channel === `#server-to-user-${user}`);
  client.signin();
  await client.user.signinDonePromise;
  await own;
  return client;
}

describe('signing in', () => {
  it('is confirmed with the data that was signed', async () => {
    const client = await signedIn('alice');
    assert.deepEqual(client.user.user_data, { id: 'alice', user_info: { name: 'alice' } });
  });

  it('lets the server send to the user, in every tab and to nobody else', async () => {
    const tabs = [await signedIn('bob'), await signedIn('bob')];
    const other = await signedIn('carol');
    const unheard = record(other.user, 'greeting');
    const received = tabs.map((tab) => next(tab.user, 'greeting'));
    await world.publisher.sendToUser('bob', 'greeting', { hello: 'bob' });
    assert.deepEqual(await Promise.all(received), [{ hello: 'bob' }, { hello: 'bob' }]);
    const last = next(other.user, 'end');
    await world.publisher.sendToUser('carol', 'end', {});
    await last;
    assert.deepEqual(unheard, []);
  });

  const failures = {
    403: (url) => ({ endpoint: `${url}/pusher/user-auth`, transport: 'ajax', params: { user: 'mallory' } }),
    404: (url) => ({ endpoint: `${url}/no-such-page`, transport: 'ajax' }),
  };
  for (const [status, userAuthentication] of Object.entries(failures)) {
    it(`FR-085: fails with the ${status} of the endpoint, and channels without need of it go on`, async () => {
      const client = await world.connected({ userAuthentication: userAuthentication(world.auth.url) });
      const error = next(client.user, 'pusher:signin_error');
      client.signin();
      assert.equal((await error).status, Number(status));
      assert.equal((await subscribed(client, unique())).subscribed, true);
    });
  }

  it('with a signature that is wrong is an error, and gives no channel of the user', async () => {
    const socket = await world.socket();
    const good = world.publisher.authenticateUser(socket.id, { id: 'dave' });
    socket.send('pusher:signin', { data: { ...good, user_data: '{"id":"eve"}' } });
    const error = await socket.read();
    assert.equal(error.event, 'pusher:error');
    socket.subscribe('#server-to-user-eve');
    assert.match((await socket.read()).event, /^pusher:(subscription_)?error$/);
    socket.send('pusher:signin', { data: good });
    assert.equal((await socket.readUntil('pusher:signin_success')).event, 'pusher:signin_success');
    socket.subscribe('#server-to-user-eve');
    assert.match((await socket.read()).event, /^pusher:(subscription_)?error$/);
  });

  it('makes a member of a presence channel out of the signed-in user', async () => {
    const name = unique('presence-');
    const socket = await world.socket();
    socket.send('pusher:signin', { data: world.publisher.authenticateUser(socket.id, { id: 'frank', user_info: { name: 'Frank' } }) });
    await socket.readUntil('pusher:signin_success');
    socket.subscribe(name, world.publisher.authorizeChannel(socket.id, name));
    const frame = await socket.readUntil('pusher_internal:subscription_succeeded');
    assert.deepEqual(JSON.parse(frame.data).presence, { ids: ['frank'], hash: { frank: { name: 'Frank' } }, count: 1 });
  });
});

describe('terminating the connections of a user', () => {
  it('closes each with 4009, for good, and no other', async () => {
    const tabs = [await signedIn('gone'), await signedIn('gone')];
    const other = await signedIn('stays');
    const name = unique('presence-');
    const member = await world.subscriber(name, { user: 'gone' });
    const closed = tabs.map((tab) => next(tab.connection, 'disconnected'));
    const errors = tabs.map((tab) => record(tab.connection, 'error'));
    const response = await world.publisher.terminateUserConnections('gone');
    assert.deepEqual(await response.json(), {});
    await Promise.all(closed);
    for (const seen of errors) {
      assert.ok(seen.some((error) => (error.data ?? error.error?.data)?.code === 4009), JSON.stringify(seen));
    }
    assert.equal(other.connection.state, 'connected');
    assert.equal(member.client.connection.state, 'connected');
  });

  it('of whom nobody has heard is fine', async () => {
    const response = await world.publisher.terminateUserConnections('nobody');
    assert.deepEqual(await response.json(), {});
  });
});
