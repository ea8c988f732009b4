// Three servers over a real Redis or NATS are to their clients as one.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { next, record, until } from '../../shared/wait.mjs';
import { Bus, Cluster, unique } from './bus.mjs';

for (const kind of ['redis', 'nats']) {
  describe(`three servers over ${kind}`, () => {
    let bus;
    let cluster;
    let [a, b, c] = [];
    before(async () => {
      bus = await Bus.start(kind);
      cluster = await Cluster.open(bus);
      [a, b, c] = cluster.nodes;
      await cluster.together();
    });
    after(async () => {
      await cluster?.close();
      await bus?.close();
    });

    /** What each server says of the counts of a channel. */
    const counts = (name, info) => Promise.all(cluster.nodes.map((node) => cluster.ask(node, `/channels/${name}`, info && { info })));

    it('give an event that one of them takes to the subscribers of all, at once after they have subscribed', async () => {
      const name = unique();
      const here = await Promise.all(cluster.nodes.map((node) => cluster.subscriber(node, name)));
      const heard = here.map(({ channel }) => record(channel, 'news'));
      for (const [at, node] of cluster.nodes.entries()) await cluster.publish(node, name, 'news', { at });
      await until('the events', () => heard.every((events) => events.length === 3));
      const servers = (events) => events.map(({ at }) => at);
      for (const events of heard) assert.deepEqual(servers(events).sort(), [0, 1, 2]);
      // Redis has one order for all; that of NATS is one for each publisher.
      if (kind === 'redis') for (const events of heard) assert.deepEqual(servers(events), [0, 1, 2]);
    });

    it('give events that all of them take at one time in one order, each once', async () => {
      const name = unique();
      const here = await Promise.all(cluster.nodes.map((node) => cluster.subscriber(node, name)));
      const heard = here.map(({ channel }) => record(channel, 'news'));
      await Promise.all(cluster.nodes.map(async (node, at) => {
        for (let n = 0; n < 30; n += 1) await cluster.publish(node, name, 'news', `${at}:${n}`);
      }));
      await until('the events', () => heard.every((events) => events.length >= 90));
      for (const events of heard) assert.equal(new Set(events).size, 90);
      for (const at of [0, 1, 2]) {
        const own = heard[0].filter((event) => event.startsWith(`${at}:`));
        assert.deepEqual(own, Array.from({ length: 30 }, (_, n) => `${at}:${n}`));
      }
      if (kind === 'redis') for (const events of heard) assert.deepEqual(events, heard[0]);
    });

    it('count subscriptions and users over all of them, and list channels of all', async () => {
      const prefix = unique('presence-');
      const name = `${prefix}-x`;
      const tabs = [
        await cluster.subscriber(a, name, { user: 'ann' }),
        await cluster.subscriber(b, name, { user: 'ann' }),
        await cluster.subscriber(c, name, { user: 'bob' }),
      ];
      await until('the counts', async () => (await counts(name, 'subscription_count,user_count'))
        .every((count) => count.occupied && count.subscription_count === 3 && count.user_count === 2));
      for (const node of cluster.nodes) {
        const { users } = await cluster.ask(node, `/channels/${name}/users`);
        assert.deepEqual(users, [{ id: 'ann' }, { id: 'bob' }]);
        const { channels } = await cluster.ask(node, '/channels', { filter_by_prefix: prefix, info: 'user_count' });
        assert.deepEqual(channels, { [name]: { user_count: 2 } });
      }
      tabs.forEach(({ client }) => client.disconnect());
      await until('nobody to be left', async () => (await counts(name)).every((count) => !count.occupied));
    });

    it('tell members of a presence channel who comes and goes elsewhere, a user with two tabs once', async () => {
      const name = unique('presence-');
      const { channel } = await cluster.subscriber(a, name, { user: 'ann' });
      const [came, went] = [record(channel, 'pusher:member_added'), record(channel, 'pusher:member_removed')];
      const tabs = [await cluster.subscriber(b, name, { user: 'bob' }), await cluster.subscriber(c, name, { user: 'bob' })];
      await until('bob', () => came.length > 0);
      assert.deepEqual(came, [{ id: 'bob', info: { name: 'bob' } }]);
      await until('the members', async () => (await counts(name, 'user_count')).every((count) => count.user_count === 2));
      const { channel: late } = await cluster.subscriber(c, name, { user: 'cat' });
      assert.deepEqual(Object.keys(late.members.members).sort(), ['ann', 'bob', 'cat']);
      await until('cat', () => came.length === 2);
      tabs[0].client.disconnect();
      await until('a tab to be gone', async () => (await counts(name, 'subscription_count')).every((count) => count.subscription_count === 3));
      assert.deepEqual(went, []);
      tabs[1].client.disconnect();
      await until('bob to be gone', () => went.length > 0);
      assert.deepEqual(went, [{ id: 'bob', info: { name: 'bob' } }]);
    });

    it('give client events to members on all of them, but not back to the sender', async () => {
      const name = unique('private-');
      const here = await Promise.all(cluster.nodes.map((node) => cluster.subscriber(node, name)));
      const heard = here.map(({ channel }) => record(channel, 'client-typing'));
      here[1].channel.trigger('client-typing', { n: 1 });
      await until('the others', () => heard[0].length === 1 && heard[2].length === 1);
      assert.deepEqual(heard, [[{ n: 1 }], [], [{ n: 1 }]]);
      await until('the webhook', () => cluster.endpoint.about(name).includes(`client_event ${name}`));
    });

    it('leave out the socket that the publisher names, wherever it is', async () => {
      const name = unique();
      const { client, channel } = await cluster.subscriber(b, name);
      const heard = record(channel, 'news');
      await cluster.publish(a, name, 'news', 1, { socket_id: client.connection.socket_id });
      await cluster.publish(a, name, 'news', 2); // of the same server, so that the first cannot come after it
      await until('the second', () => heard.length > 0);
      assert.deepEqual(heard, [2]);
    });

    it('reach a user and end a user on any of them', async () => {
      const user = unique('user-');
      const client = await cluster.connected(b, { user });
      client.signin();
      await until('the channel of the user', () => client.user.serverToUserChannel?.subscribed);
      const mail = next(client.user, 'mail');
      await cluster.sdk(a).sendToUser(user, 'mail', { n: 1 });
      assert.deepEqual(await mail, { n: 1 });
      const ended = next(client.connection, 'error', (error) => error.error?.data?.code === 4009);
      await cluster.sdk(c).terminateUserConnections(user);
      await ended;
    });

    it('tell a watchlist of users on all of them', async () => {
      const bob = unique('bob-');
      const watcher = await cluster.connected(a, { user: unique('w-'), watchlist: [bob] });
      const sees = [];
      watcher.user.watchlist.bind('online', ({ user_ids: ids }) => sees.push(...ids.map((id) => `+${id}`)));
      watcher.user.watchlist.bind('offline', ({ user_ids: ids }) => sees.push(...ids.map((id) => `-${id}`)));
      watcher.signin();
      await until('the state', () => sees.length === 1);
      const tabs = [await cluster.connected(b, { user: bob }), await cluster.connected(c, { user: bob })];
      for (const tab of tabs) {
        tab.signin();
        await tab.user.signinDonePromise;
      }
      await until('bob', () => sees.length === 2);
      await sleep(200); // both tabs are known everywhere
      tabs[0].disconnect();
      await sleep(200);
      tabs[1].disconnect();
      await until('the end', () => sees.length === 3);
      assert.deepEqual(sees, [`-${bob}`, `+${bob}`, `-${bob}`]);
    });

    it('send each webhook once, not once a server', async () => {
      const names = Array.from({ length: 12 }, () => unique('presence-'));
      for (const [n, name] of names.entries()) {
        const first = await cluster.subscriber(cluster.nodes[n % 3], name, { user: 'ann' });
        const second = await cluster.subscriber(cluster.nodes[(n + 1) % 3], name, { user: 'bob' });
        await until('both', async () => (await counts(name, 'user_count')).every((count) => count.user_count === 2));
        first.client.disconnect();
        second.client.disconnect();
      }
      const expected = (name) => [
        `channel_occupied ${name}`, `channel_vacated ${name}`,
        `member_added ${name} ann`, `member_added ${name} bob`,
        `member_removed ${name} ann`, `member_removed ${name} bob`,
      ];
      await until('the webhooks', () => names.every((name) => cluster.endpoint.about(name).length >= 6));
      await sleep(500);
      for (const name of names) assert.deepEqual(cluster.endpoint.about(name).sort(), expected(name));
    });

    it('give on any of them what was missed on another', async () => {
      const name = unique();
      const first = await socket(a);
      first.send({ event: 'pusher:subscribe', data: { channel: name } });
      await first.read('pusher_internal:subscription_succeeded');
      await cluster.publish(b, name, 'one', {});
      const { serial } = await first.read('one');
      first.close();
      const kept = (count) => until(`${count} events`, async () =>
        (await cluster.ask(b, `/channels/${name}/history`)).events.length === count);
      if (kind === 'nats') await sleep(600); // nearer events of two servers may have come in another order: a gap
      await cluster.publish(c, name, 'two', {});
      await kept(2); // NATS keeps the order of each server's events, not that of two servers
      await cluster.publish(a, name, 'three', {});
      await kept(3);
      const second = await socket(b);
      second.send({ event: 'pusher:subscribe', data: { channel: name, resume_from: serial } });
      const answer = JSON.parse((await second.read('pusher_internal:resumed')).data);
      assert.deepEqual([answer.result, answer.events], ['complete', 2]);
      assert.equal((await second.next()).event, 'two');
      assert.equal((await second.next()).event, 'three');
      second.close();
    });

    it('give a cached event and the history to a server that is started later', async () => {
      const [cached, kept] = [unique('cache-'), unique()];
      await cluster.publish(a, cached, 'state', { on: true });
      for (const event of ['one', 'two']) await cluster.publish(b, kept, event, {});
      const late = await cluster.add();
      await until('what is kept', async () => (await cluster.ask(late, `/channels/${kept}/history`)).events.length === 2);
      const channel = (await cluster.connected(late)).subscribe(cached);
      assert.deepEqual(await next(channel, 'state'), { on: true });
      await late.stop();
    });
  });
}

/** A bare WebSocket to a server, connected. */
async function socket(node) {
  const raw = new WebSocket(`${node.webSocketUrl}/app/many-key?protocol=7`);
  const frames = [];
  raw.addEventListener('message', ({ data }) => frames.push(JSON.parse(data)));
  const client = {
    next: () => until('a frame', () => frames.shift()),
    async read(event) {
      for (;;) {
        const frame = await client.next();
        if (frame.event === event) return frame;
      }
    },
    send: (frame) => raw.send(JSON.stringify(frame)),
    close: () => raw.close(),
  };
  await client.read('pusher:connection_established');
  return client;
}
