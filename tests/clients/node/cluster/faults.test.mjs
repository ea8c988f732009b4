// What becomes of several servers when one of them dies, or when what connects them is away.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { next, record, until } from '../../shared/wait.mjs';
import { Bus, Cluster, LEASE, unique } from './bus.mjs';

const isOccupied = async (cluster, node, name) => (await cluster.ask(node, `/channels/${name}`)).occupied;

for (const kind of ['redis', 'nats']) {
  describe(`servers over ${kind}`, () => {
    let bus;
    let cluster;
    before(async () => {
      bus = await Bus.start(kind);
      cluster = await Cluster.open(bus);
      await cluster.together();
    });
    after(async () => {
      await cluster?.close();
      await bus?.close();
    });

    it('FR-121: are rid of a killed one within its lease, with its webhooks sent by a survivor, and no ghost comes back', async () => {
      const [a, b, c] = cluster.nodes;
      const names = Array.from({ length: 8 }, () => unique('presence-'));
      const [went, ann] = [[], []];
      for (const name of names) {
        ann.push((await cluster.subscriber(a, name, { user: 'ann' })).client);
        const { channel } = await cluster.subscriber(b, name, { user: 'bob' });
        went.push(record(channel, 'pusher:member_removed'));
      }
      const alone = Array.from({ length: 8 }, () => unique());
      for (const name of alone) ann.push((await cluster.subscriber(a, name)).client);
      await until('the webhooks of the start', () => [...names, ...alone].every((name) => cluster.endpoint.about(name).length > 0));
      await until('all to be known', async () => {
        const all = await Promise.all([...names, ...alone].map((name) => isOccupied(cluster, c, name)));
        return all.every(Boolean);
      });

      // What the killed one has not been able to send by then is for the survivors as well.
      cluster.endpoint.isAway = true;
      const unsent = Array.from({ length: 8 }, () => unique());
      for (const name of unsent) await cluster.subscriber(b, name);
      await until('all to be known', async () => (await Promise.all(unsent.map((name) => isOccupied(cluster, a, name)))).every(Boolean));

      const { port } = a;
      await a.stop('SIGKILL');
      cluster.endpoint.isAway = false;
      ann.forEach((client) => client.disconnect()); // they would come back
      await until('ann to be gone', () => went.every((gone) => gone.length === 1), (LEASE + 20) * 1000);
      for (const gone of went) assert.deepEqual(gone, [{ id: 'ann', info: { name: 'ann' } }]);
      const users = async (name) => (await cluster.ask(c, `/channels/${name}`, { info: 'user_count' })).user_count;
      await until('the third to know', async () => {
        const counts = await Promise.all(names.map(users));
        const occupied = await Promise.all(alone.map((name) => isOccupied(cluster, c, name)));
        return counts.every((count) => count === 1) && !occupied.some(Boolean);
      });
      await until('the webhooks of the end', () => names.every((name) => cluster.endpoint.about(name).includes(`member_removed ${name} ann`))
        && alone.every((name) => cluster.endpoint.about(name).includes(`channel_vacated ${name}`)));

      await until('what was not sent', () => unsent.every((name) => cluster.endpoint.about(name).length > 0));
      for (const name of unsent) assert.deepEqual(cluster.endpoint.about(name), [`channel_occupied ${name}`]);

      await a.resume();
      assert.equal(a.port, port);
      await cluster.together();
      await sleep(500);
      for (const name of names) {
        const { users } = await cluster.ask(a, `/channels/${name}/users`);
        assert.deepEqual(users, [{ id: 'bob' }]);
        const told = cluster.endpoint.about(name);
        assert.equal(told.filter((text) => text === `member_removed ${name} ann`).length, 1);
        assert.equal(told.filter((text) => text.startsWith('channel_vacated')).length, 0);
      }
      for (const name of alone) {
        const told = cluster.endpoint.about(name);
        assert.deepEqual(told, [`channel_occupied ${name}`, `channel_vacated ${name}`]);
      }
    });

    it('FR-122, FR-123: serve alone while the bus is away, and are one again when it is back', async () => {
      const [a, b, c] = cluster.nodes;
      const name = unique('presence-');
      const here = await Promise.all([a, b, c].map((node, at) => cluster.subscriber(node, name, { user: `u${at}` })));
      const heard = here.map(({ channel }) => record(channel, 'news'));
      const went = here.map(({ channel }) => record(channel, 'pusher:member_removed'));
      const closed = here.map(({ client }) => record(client.connection, 'disconnected'));
      await bus.stop();
      await until('one to notice', () => [a, b, c].every((node) => /the backplane is away/.test(node.log)));
      const ready = async (node) => (await fetch(`${node.url}/ready`)).status;
      assert.deepEqual(await Promise.all([a, b, c].map(ready)), [503, 503, 503]);
      assert.match(await (await fetch(`${a.url}/ready`)).text(), /degraded: the backplane is not reached/);
      for (const [at, node] of [a, b, c].entries()) {
        await cluster.publish(node, name, 'news', at);
        await until('its own', () => heard[at].includes(at));
      }
      assert.equal(await isOccupied(cluster, a, unique()), false, 'questions are answered');
      await sleep(500);
      await bus.resume();
      await cluster.together();
      assert.deepEqual(await Promise.all([a, b, c].map(ready)), [200, 200, 200]);
      await cluster.publish(b, name, 'news', 'after');
      await until('all', () => heard.every((events) => events.includes('after')));
      for (const [at, events] of heard.entries()) {
        assert.equal(new Set(events).size, events.length, 'nothing comes twice');
        assert.equal(events[0], at, 'what was published here came at once');
      }
      assert.deepEqual([went, closed], [[[], [], []], [[], [], []]]);
      const { users } = await cluster.ask(c, `/channels/${name}/users`);
      assert.equal(users.length, 3);
    });

    it('FR-123: start without the bus and find each other when it comes', async () => {
      const other = await Bus.start(kind);
      await other.stop();
      const late = await Cluster.open(other, 2);
      const name = unique();
      const { channel } = await late.subscriber(late.nodes[0], name);
      const heard = next(channel, 'news');
      await late.publish(late.nodes[0], name, 'news', 1);
      assert.equal(await heard, 1);
      await other.resume();
      await late.together();
      assert.equal((await late.ask(late.nodes[1], `/channels/${name}`)).occupied, true);
      await late.close();
      await other.close();
    });

    it('say goodbye when they end, so that nobody waits for a lease', async () => {
      const node = await cluster.add();
      await cluster.together();
      const name = unique('presence-');
      const { channel } = await cluster.subscriber(cluster.nodes[1], name, { user: 'bob' });
      const went = next(channel, 'pusher:member_removed');
      await cluster.subscriber(node, name, { user: 'ann' });
      cluster.nodes.pop();
      await node.close();
      assert.equal((await went).id, 'ann');
    });
  });
}

describe('a server that is stopped while its clients go on to another', () => {
  let bus;
  let cluster;
  before(async () => {
    bus = await Bus.start('redis');
    cluster = await Cluster.open(bus, 3, { delay: '3s' });
    await cluster.together();
  });
  after(async () => {
    await cluster?.close();
    await bus?.close();
  });

  it('FR-101: lets webhooks tell of nobody who is back in time, and of each who is not, once', async () => {
    const [a, b, stopped] = cluster.nodes;
    const moved = Array.from({ length: 12 }, () => unique('presence-'));
    const left = Array.from({ length: 12 }, () => unique());
    for (const name of moved) {
      await cluster.subscriber(stopped, name, { user: 'ann' });
      await cluster.subscriber(b, name, { user: 'bob' });
    }
    const leaving = await cluster.connected(stopped);
    await Promise.all(left.map((name) => next(leaving.subscribe(name), 'pusher:subscription_succeeded')));
    await until('the start', () => moved.every((name) => cluster.endpoint.about(name).length === 3)
      && left.every((name) => cluster.endpoint.about(name).length === 1));
    cluster.nodes.pop();
    await stopped.close();
    await Promise.all(moved.map((name) => cluster.subscriber(a, name, { user: 'ann' })));
    await until('the end', () => left.every((name) => cluster.endpoint.about(name).includes(`channel_vacated ${name}`)));
    await sleep(4000); // longer than departures are held back
    for (const name of moved) {
      assert.deepEqual(cluster.endpoint.about(name).sort(), [`channel_occupied ${name}`, `member_added ${name} ann`, `member_added ${name} bob`]);
    }
    for (const name of left) {
      assert.deepEqual(cluster.endpoint.about(name), [`channel_occupied ${name}`, `channel_vacated ${name}`]);
    }
  });
});

const ip = (...args) => spawnSync('ip', args, { encoding: 'utf8' });
const probe = `tidings-${process.pid}`;
const mayIsolate = process.getuid() === 0 && ip('netns', 'add', probe).status === 0;
if (mayIsolate) ip('netns', 'del', probe);

describe('a server that is cut off by the network', { skip: !mayIsolate && 'needs network namespaces: run as root' }, () => {
  // The server in the namespace has one wire to its clients and another one to Redis, which is cut.
  const space = probe;
  const wires = [{ name: `tc${process.pid % 100000}`, net: '10.231.7' }, { name: `tb${process.pid % 100000}`, net: '10.231.8' }];
  let bus;
  let cluster;
  before(async () => {
    ip('netns', 'add', space);
    for (const { name, net } of wires) {
      ip('link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}p`, 'netns', space);
      ip('addr', 'add', `${net}.1/24`, 'dev', name);
      ip('link', 'set', name, 'up');
      ip('-n', space, 'addr', 'add', `${net}.2/24`, 'dev', `${name}p`);
      ip('-n', space, 'link', 'set', `${name}p`, 'up');
    }
    bus = await Bus.start('redis', `${wires[1].net}.1`);
    cluster = await Cluster.open(bus, 2);
    await cluster.add({ host: `${wires[0].net}.2`, through: ['ip', 'netns', 'exec', space] });
    await cluster.together();
  });
  after(async () => {
    await cluster?.close();
    await bus?.close();
    for (const { name } of wires) ip('link', 'del', name);
    ip('netns', 'del', space);
  });

  it('is forgotten by the others, serves its own, and is one with them again when the wire is back', async () => {
    const [a, b, cut] = cluster.nodes;
    const name = unique('presence-');
    const near = await cluster.subscriber(a, name, { user: 'near' });
    const far = await cluster.subscriber(cut, name, { user: 'far' });
    await until('both', async () => (await cluster.ask(b, `/channels/${name}`, { info: 'user_count' })).user_count === 2);
    const [went, came] = [record(near.channel, 'pusher:member_removed'), record(near.channel, 'pusher:member_added')];
    const heard = record(far.channel, 'news');

    ip('link', 'set', wires[1].name, 'down');
    await until('the silence', () => went.length === 1);
    assert.deepEqual(went, [{ id: 'far', info: { name: 'far' } }]);
    await until('the cut one to notice', () => /the backplane is away/.test(cut.log));
    await cluster.publish(cut, name, 'news', 'alone');
    await until('its own event', () => heard.includes('alone'));

    ip('link', 'set', wires[1].name, 'up');
    await until('far to be back', () => came.length === 1);
    await cluster.together();
    // What is said at the moment overtakes what one server still asks of another.
    const users = async (node) => (await cluster.ask(node, `/channels/${name}/users`)).users.map(({ id }) => id).join(' ');
    for (const node of cluster.nodes) await until('both to be there again', async () => await users(node) === 'far near');
    await cluster.publish(a, name, 'news', 'again');
    await until('an event from elsewhere', () => heard.includes('again'));
    assert.deepEqual(heard, ['alone', 'again']);
  });
});
