// Laravel Echo, as a Laravel application uses it, over pusher-js.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import Echo from 'laravel-echo';
import Pusher from 'pusher-js';
import { until } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

for (const broadcaster of ['pusher', 'reverb']) {
  describe(`Laravel Echo as "${broadcaster}"`, () => {
    let world;
    const open = [];
    before(async () => { world = await World.open(); });
    after(async () => {
      for (const echo of open) echo.disconnect();
      await world.close();
    });

    /** Echo with the options of Laravel's own template. */
    function echoOf(user, overrides = {}) {
      const echo = new Echo({
        broadcaster,
        Pusher,
        key: world.app.key,
        cluster: '',
        wsHost: '127.0.0.1',
        wsPort: world.server.port,
        wssPort: world.server.port,
        forceTLS: false,
        enabledTransports: ['ws'],
        authEndpoint: `${world.auth.url}/broadcasting/auth`,
        auth: { headers: {}, params: { user } },
        ...overrides,
      });
      open.push(echo);
      return echo;
    }

    /** A promise, and the callback that resolves it. */
    function expected() {
      let resolve;
      const promise = new Promise((done) => { resolve = done; });
      return [promise, resolve];
    }

    const ready = (channel) => new Promise((resolve, reject) => channel.subscribed(resolve).error(reject));

    it('listens on a public channel under the namespace of the application', async () => {
      const name = unique();
      const echo = echoOf('alice', { namespace: 'App.Events' });
      const [received, receive] = expected();
      const channel = echo.channel(name).listen('OrderShipped', receive);
      await ready(channel);
      assert.match(echo.socketId(), /^\d+\.\d+$/);
      await world.publish(name, 'App\\Events\\OrderShipped', { order: 7 });
      assert.deepEqual(await received, { order: 7 });
    });

    it('FR-107: listens on a private channel to a name of its own, and to notifications', async () => {
      const name = unique();
      const echo = echoOf('alice');
      const [received, receive] = expected();
      const [notified, notify] = expected();
      const channel = echo.private(name).listen('.order.shipped', receive).notification(notify);
      await ready(channel);
      await world.publish(`private-${name}`, 'order.shipped', { order: 8 });
      await world.publish(`private-${name}`, 'Illuminate\\Notifications\\Events\\BroadcastNotificationCreated', { type: 'paid' });
      assert.deepEqual(await received, { order: 8 });
      assert.deepEqual(await notified, { type: 'paid' });
    });

    it('broadcasts to others, which is what the X-Socket-Id header is for', async () => {
      const name = unique();
      const [alice, bob] = [echoOf('alice'), echoOf('bob')];
      const seen = { alice: [], bob: [] };
      for (const [who, echo] of [['alice', alice], ['bob', bob]]) {
        await ready(echo.private(name).listen('.news', (data) => seen[who].push(data)));
      }
      await world.publish(`private-${name}`, 'news', 1, { socket_id: alice.socketId() });
      await world.publish(`private-${name}`, 'news', 2);
      await until('both have the second', () => seen.alice.includes(2) && seen.bob.includes(2));
      assert.deepEqual(seen, { alice: [2], bob: [1, 2] });
    });

    it('reports a channel that the application does not grant', async () => {
      const error = await new Promise((resolve) => echoOf('mallory').private(unique()).error(resolve));
      assert.equal(error.status, 403);
    });

    it('knows who is here, who is joining and who is leaving', async () => {
      const name = unique();
      const [here, setHere] = expected();
      const events = [];
      echoOf('alice').join(name).here(setHere)
        .joining((member) => events.push(`+${member.name}`))
        .leaving((member) => events.push(`-${member.name}`));
      assert.deepEqual(await here, [{ name: 'alice' }]);
      const bob = echoOf('bob');
      const [bobSees, setBobSees] = expected();
      bob.join(name).here(setBobSees);
      assert.deepEqual((await bobSees).map((member) => member.name).sort(), ['alice', 'bob']);
      await until('bob joined', () => events.length === 1);
      bob.leave(name);
      await until('bob left', () => events.length === 2);
      assert.deepEqual(events, ['+bob', '-bob']);
    });

    it('whispers to the others of a private and of a presence channel', async () => {
      for (const kind of ['private', 'join']) {
        const name = unique();
        const [alice, bob] = [echoOf('alice')[kind](name), echoOf('bob')[kind](name)];
        await Promise.all([ready(alice), ready(bob)]);
        const [heard, hear] = expected();
        const [echoed, all] = [[], []];
        alice.listenForWhisper('typing', (data) => echoed.push(data));
        bob.listenForWhisper('typing', hear).listenToAll((event) => all.push(event));
        alice.whisper('typing', { name: 'alice' });
        assert.deepEqual(await heard, { name: 'alice' });
        bob.whisper('typing', { name: 'bob' });
        await until('alice heard bob', () => echoed.length > 0);
        assert.deepEqual(echoed, [{ name: 'bob' }]);
        assert.deepEqual(all, ['.client-typing']);
      }
    });

    it('stops listening, and leaves', async () => {
      const name = unique();
      const echo = echoOf('alice');
      const seen = [];
      const listener = (data) => seen.push(data);
      const channel = echo.channel(name).listen('.news', listener);
      await ready(channel);
      channel.stopListening('.news', listener);
      const [ended, end] = expected();
      channel.listen('.end', end);
      await world.publish(name, 'news', 1);
      await world.publish(name, 'end', {});
      await ended;
      assert.deepEqual(seen, []);
      echo.leave(name);
      await until('nobody is there', async () => !(await world.ask(`/channels/${name}`)).occupied);
    });

    it('comes back after the server has restarted', async () => {
      const name = unique();
      const echo = echoOf('alice');
      const seen = [];
      const channel = echo.private(name).listen('.news', (data) => seen.push(data));
      await ready(channel);
      const back = ready(channel);
      await world.server.stop('SIGKILL');
      await world.server.resume();
      await back;
      await world.publish(`private-${name}`, 'news', 'again');
      await until('the event', () => seen.length > 0);
      assert.deepEqual(seen, ['again']);
      assert.equal(echo.connectionStatus(), 'connected');
    });
  });
}
