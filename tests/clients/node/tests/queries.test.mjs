// Asking the server with the official SDK: which channels, how many, who.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../shared/wait.mjs';
import { World, subscribed, unique } from './world.mjs';

let world;
before(async () => { world = await World.open(); });
after(() => world.close());

/** The refusal that the official SDK reports for `path`. */
async function refusal(path, params) {
  try {
    await world.publisher.get({ path, params });
  } catch (error) {
    return { status: error.status, body: error.body };
  }
  return assert.fail(`${path} was answered`);
}

describe('GET channels', () => {
  it('is an empty object when nobody is there', async () => {
    const { channels } = await world.ask('/channels', { filter_by_prefix: unique('presence-nobody-') });
    assert.deepEqual(channels, {});
  });

  it('lists what is occupied, by prefix, and forgets what is left', async () => {
    const prefix = unique('public-');
    const { client } = await world.subscriber(`${prefix}-a`);
    await subscribed(client, `${prefix}-b`);
    const list = async () => Object.keys((await world.ask('/channels', { filter_by_prefix: prefix })).channels).sort();
    assert.deepEqual(await list(), [`${prefix}-a`, `${prefix}-b`]);
    const all = Object.keys((await world.ask('/channels')).channels);
    assert.ok(all.includes(`${prefix}-a`));
    client.unsubscribe(`${prefix}-a`);
    await until('the list is shorter', async () => (await list()).length === 1);
    client.disconnect();
    await until('the list is empty', async () => (await list()).length === 0);
  });

  it('FR-094: gives user_count for presence channels, and says why not for others', async () => {
    const name = unique('presence-');
    for (const user of ['a', 'b']) await world.subscriber(name, { user });
    const { channels } = await world.ask('/channels', { filter_by_prefix: name, info: 'user_count' });
    assert.deepEqual(channels, { [name]: { user_count: 2 } });
    for (const params of [{ info: 'user_count' }, { info: 'user_count', filter_by_prefix: 'private-' }]) {
      const { status, body } = await refusal('/channels', params);
      assert.equal(status, 400);
      assert.match(body, /presence-/);
    }
  });
});

describe('GET channel', () => {
  it('FR-095: says whether it is occupied, with counts where they apply', async () => {
    const [open, presence] = [unique(), unique('presence-')];
    const { client } = await world.subscriber(open);
    await subscribed(client, presence);
    const occupied = await world.ask(`/channels/${open}`, { info: 'subscription_count' });
    assert.deepEqual(occupied, { occupied: true, subscription_count: 1 });
    assert.deepEqual(await world.ask(`/channels/${presence}`, { info: 'user_count' }), { occupied: true, user_count: 1 });
    assert.equal((await world.ask(`/channels/${unique()}`, { info: 'subscription_count' })).occupied, false);
    assert.deepEqual(await world.ask(`/channels/${unique()}`), { occupied: false });
  });

  it('FR-093: refuses user_count for a channel without users', async () => {
    const { status, body } = await refusal(`/channels/${unique('private-')}`, { info: 'user_count' });
    assert.equal(status, 400);
    assert.match(body, /presence/);
  });

  it('FR-093: refuses an attribute that does not exist, and names it', async () => {
    const { status, body } = await refusal(`/channels/${unique()}`, { info: 'colour' });
    assert.equal(status, 400);
    assert.match(body, /colour/);
  });

  it('takes names with every character they may have', async () => {
    const name = `presence-a@b=c,d.e;f_${unique()}`;
    await world.subscriber(name, { user: 'a' });
    assert.equal((await world.ask(`/channels/${name}`)).occupied, true);
    assert.deepEqual(await world.ask(`/channels/${name}/users`), { users: [{ id: 'a' }] });
  });
});

describe('GET users', () => {
  it('lists each user once, as strings', async () => {
    const name = unique('presence-');
    for (const user of ['a', 'a', '10']) await world.subscriber(name, { user });
    const { users } = await world.ask(`/channels/${name}/users`);
    assert.deepEqual(users.sort((x, y) => x.id.localeCompare(y.id)), [{ id: '10' }, { id: 'a' }]);
  });

  it('is an empty list for a presence channel that nobody is in', async () => {
    assert.deepEqual(await world.ask(`/channels/${unique('presence-')}/users`), { users: [] });
  });

  it('FR-093: refuses channels without users', async () => {
    for (const name of [unique(), unique('private-')]) {
      const { status, body } = await refusal(`/channels/${name}/users`);
      assert.equal(status, 400);
      assert.match(body, /presence/);
    }
  });
});
