// Presence channels: who is here, who came, who left.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, record, until } from '../../shared/wait.mjs';
import { World, subscribed, unique } from './world.mjs';

let world;
before(async () => { world = await World.open(); });
after(() => world.close());

/** Everything that `channel` tells about members, as `+id` and `-id`. */
function comings(channel) {
  const seen = [];
  channel.bind('pusher:member_added', (member) => seen.push(`+${member.id}`));
  channel.bind('pusher:member_removed', (member) => seen.push(`-${member.id}`));
  return seen;
}

/** Resolves once `channel` has received an event that is published now: what came before is there. */
async function caughtUp(channel) {
  const last = next(channel, 'caught-up');
  await world.publish(channel.name, 'caught-up', {});
  await last;
}

describe('joining', () => {
  it('shows me, the others and their info in the confirmation', async () => {
    const name = unique('presence-');
    await world.subscriber(name, { user: 'alice', info: { name: 'Alice', tags: ['é', { a: 1 }] } });
    const client = await world.connected({ user: 'bob', info: { name: 'Bob' } });
    const channel = client.subscribe(name);
    const members = await next(channel, 'pusher:subscription_succeeded');
    assert.equal(members.count, 2);
    assert.deepEqual(members.me, { id: 'bob', info: { name: 'Bob' } });
    assert.deepEqual(members.get('alice'), { id: 'alice', info: { name: 'Alice', tags: ['é', { a: 1 }] } });
  });

  it('FR-067: is told to the others, and not to the one who joins', async () => {
    const name = unique('presence-');
    const alice = await world.subscriber(name, { user: 'alice' });
    const aliceTold = comings(alice.channel);
    const bob = await world.subscriber(name, { user: 'bob' });
    const bobTold = comings(bob.channel);
    const carol = await world.connected({ user: 'carol' });
    const channel = carol.subscribe(name);
    const own = comings(channel);
    await next(channel, 'pusher:subscription_succeeded');
    for (const each of [alice.channel, bob.channel, channel]) await caughtUp(each);
    assert.deepEqual([aliceTold, bobTold, own], [['+bob', '+carol'], ['+carol'], []]);
  });

  it('carries the info of the member', async () => {
    const name = unique('presence-');
    const alice = await world.subscriber(name, { user: 'alice' });
    const added = next(alice.channel, 'pusher:member_added');
    await world.subscriber(name, { user: 'bob', info: { name: 'Bob', age: 7 } });
    assert.deepEqual(await added, { id: 'bob', info: { name: 'Bob', age: 7 } });
    assert.equal(alice.channel.members.count, 2);
  });

  it('FR-068: lists ids as strings in an array, keyed by id, as string data', async () => {
    const name = unique('presence-');
    const socket = await world.socket();
    socket.subscribe(name, world.publisher.authorizeChannel(socket.id, name, { user_id: 'u-7', user_info: { n: 1 } }));
    await socket.readUntil('pusher_internal:subscription_succeeded');
    const other = await world.socket();
    other.subscribe(name, world.publisher.authorizeChannel(other.id, name, { user_id: 42 }));
    const frame = await other.readUntil('pusher_internal:subscription_succeeded');
    assert.equal(typeof frame.data, 'string');
    const { presence } = JSON.parse(frame.data);
    assert.deepEqual(presence.ids.sort(), ['42', 'u-7']);
    assert.deepEqual(Object.keys(presence.hash).sort(), ['42', 'u-7']);
    assert.deepEqual(presence.hash['u-7'], { n: 1 });
    assert.equal(presence.count, 2);
    const added = await socket.readUntil('pusher_internal:member_added');
    assert.equal(JSON.parse(added.data).user_id, '42');
  });

  it('takes the number 10 and the string "10" for one user', async () => {
    const name = unique('presence-');
    for (const user_id of [10, '10']) {
      const socket = await world.socket();
      socket.subscribe(name, world.publisher.authorizeChannel(socket.id, name, { user_id }));
      const frame = await socket.readUntil('pusher_internal:subscription_succeeded');
      assert.deepEqual(JSON.parse(frame.data).presence.ids, ['10']);
    }
  });

  it('gives a member without info a me of its own', async () => {
    const name = unique('presence-');
    const client = await world.connected({
      channelAuthorization: {
        customHandler: ({ socketId, channelName }, callback) => {
          callback(null, world.publisher.authorizeChannel(socketId, channelName, { user_id: 'bare' }));
        },
      },
    });
    const channel = await subscribed(client, name);
    assert.equal(channel.members.me.id, 'bare');
    assert.equal(channel.members.count, 1);
  });

  it('without channel_data, or with data that is no member, is a subscription error', async () => {
    const name = unique('presence-');
    const socket = await world.socket();
    const bad = [undefined, {}, { user_id: '' }, { user_id: null }, { user_id: { a: 1 } }, { user_id: 'u', user_info: 'text' }];
    for (const member of bad) {
      socket.subscribe(name, world.publisher.authorizeChannel(socket.id, name, member));
      const frame = await socket.read();
      assert.equal(frame.event, 'pusher:subscription_error', JSON.stringify(member));
      assert.equal(frame.channel, name);
    }
    assert.equal((await world.ask(`/channels/${name}`)).occupied, false);
  });
});

describe('one user in two tabs', () => {
  it('FR-064: is one member: one member_added, and one member_removed after the last close', async () => {
    const name = unique('presence-');
    const observer = await world.subscriber(name, { user: 'observer' });
    const told = comings(observer.channel);
    const one = await world.subscriber(name, { user: 'u' });
    const two = await world.subscriber(name, { user: 'u' });
    assert.equal(two.channel.members.count, 2);
    assert.deepEqual(Object.keys(two.channel.members.members).sort(), ['observer', 'u']);
    await caughtUp(observer.channel);
    assert.deepEqual(told, ['+u']);
    one.client.disconnect();
    await until('the first tab is gone', async () => await subscriptions(name) === 2);
    await caughtUp(observer.channel);
    assert.deepEqual(told, ['+u']);
    two.client.disconnect();
    await until('the member left', () => told.length > 1);
    await caughtUp(observer.channel);
    assert.deepEqual(told, ['+u', '-u']);
    assert.equal(observer.channel.members.count, 1);
  });

  it('FR-064: the same by unsubscription, and the tabs are told nothing of each other', async () => {
    const name = unique('presence-');
    const observer = await world.subscriber(name, { user: 'observer' });
    const told = comings(observer.channel);
    const one = await world.subscriber(name, { user: 'u' });
    const own = comings(one.channel);
    const two = await world.subscriber(name, { user: 'u' });
    two.client.unsubscribe(name);
    await until('the second tab is gone', async () => await subscriptions(name) === 2);
    await caughtUp(one.channel);
    assert.deepEqual(own, []);
    one.client.unsubscribe(name);
    await until('the member left', () => told.length > 1);
    assert.deepEqual(told, ['+u', '-u']);
  });

  it('FR-065: counts once in the HTTP API', async () => {
    const name = unique('presence-');
    for (const user of ['u', 'u', 'u', 'v']) await world.subscriber(name, { user });
    const { channels } = await world.ask('/channels', { filter_by_prefix: name, info: 'user_count' });
    assert.deepEqual(channels, { [name]: { user_count: 2 } });
    const { users } = await world.ask(`/channels/${name}/users`);
    assert.deepEqual(users.map((user) => user.id).sort(), ['u', 'v']);
  });

  it('FR-071: shows one info, the first, until the user has left for good', async () => {
    const name = unique('presence-');
    const observer = await world.subscriber(name, { user: 'observer' });
    const one = await world.subscriber(name, { user: 'u', info: { name: 'first' } });
    const two = await world.subscriber(name, { user: 'u', info: { name: 'second' } });
    await caughtUp(observer.channel);
    assert.deepEqual(observer.channel.members.get('u').info, { name: 'first' });
    const late = await world.subscriber(name, { user: 'late' });
    assert.deepEqual(late.channel.members.get('u').info, { name: 'first' });
    const removed = next(observer.channel, 'pusher:member_removed');
    one.client.disconnect();
    two.client.disconnect();
    assert.equal((await removed).id, 'u');
    const added = next(observer.channel, 'pusher:member_added');
    await world.subscriber(name, { user: 'u', info: { name: 'third' } });
    assert.deepEqual((await added).info, { name: 'third' });
  });

  /** How many connections are subscribed to `name`. */
  async function subscriptions(name) {
    const answer = await world.ask(`/channels/${name}`, { info: 'subscription_count' });
    return answer.subscription_count;
  }
});

describe('leaving', () => {
  const ways = {
    'an unsubscription': ({ client, channel }) => client.unsubscribe(channel.name),
    'a close': ({ client }) => client.disconnect(),
  };
  for (const [way, leave] of Object.entries(ways)) {
    it(`by ${way} is told to the others`, async () => {
      const name = unique('presence-');
      const alice = await world.subscriber(name, { user: 'alice' });
      const bob = await world.subscriber(name, { user: 'bob', info: { name: 'Bob' } });
      const removed = next(alice.channel, 'pusher:member_removed');
      leave(bob);
      assert.deepEqual(await removed, { id: 'bob', info: { name: 'Bob' } });
      assert.deepEqual(Object.keys(alice.channel.members.members), ['alice']);
    });
  }

  it('FR-066: by a TCP connection that is killed is told to the others', async () => {
    const name = unique('presence-');
    const alice = await world.subscriber(name, { user: 'alice' });
    const socket = await world.socket();
    socket.subscribe(name, world.publisher.authorizeChannel(socket.id, name, { user_id: 'bob' }));
    await socket.readUntil('pusher_internal:subscription_succeeded');
    const removed = next(alice.channel, 'pusher:member_removed');
    socket.kill();
    assert.equal((await removed).id, 'bob');
  });

  it('FR-070: one of two channels leaves the user in the other', async () => {
    const [first, second] = [unique('presence-'), unique('presence-')];
    const observer = await world.connected({ user: 'observer' });
    const told = [];
    for (const name of [first, second]) told.push(comings(await subscribed(observer, name)));
    const bob = await world.connected({ user: 'bob' });
    for (const name of [first, second]) await subscribed(bob, name);
    bob.unsubscribe(first);
    await until('bob left the first', () => told[0].includes('-bob'));
    await caughtUp(observer.channel(second));
    assert.deepEqual(told, [['+bob', '-bob'], ['+bob']]);
    bob.unsubscribe(second);
    await until('bob left the second', () => told[1].includes('-bob'));
    assert.deepEqual(told, [['+bob', '-bob'], ['+bob', '-bob']]);
  });

  it('and coming back, many times, leaves nothing behind', async () => {
    const name = unique('presence-');
    const observer = await world.subscriber(name, { user: 'observer' });
    const told = comings(observer.channel);
    const bob = await world.connected({ user: 'bob' });
    for (let round = 0; round < 20; round += 1) {
      await subscribed(bob, name);
      bob.unsubscribe(name);
    }
    await until('the last leave', () => told.length === 40);
    assert.deepEqual(told, Array.from({ length: 40 }, (_, n) => (n % 2 ? '-bob' : '+bob')));
    assert.deepEqual(await world.ask(`/channels/${name}/users`), { users: [{ id: 'observer' }] });
  });
});
