// History: official clients notice nothing of it, and a client that was away can resume.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next, record } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

let world;
before(async () => { world = await World.open({ args: ['--history-events', '3'] }); });
after(() => world.close());

describe('channels that keep history', () => {
  for (const kind of ['', 'private-', 'presence-', 'private-encrypted-', 'cache-']) {
    it(`look to pusher-js like any other ${kind || 'public '}channel`, async () => {
      const name = unique(kind);
      const { channel } = await world.subscriber(name);
      const errors = record(channel, 'pusher:error');
      const received = next(channel, 'news');
      await world.publish(name, 'news', { text: 'grüße 🎉' });
      assert.deepEqual(await received, { text: 'grüße 🎉' });
      assert.deepEqual(errors, []);
    });
  }

  it('give a socket that was away what it has missed, or say that something is lost', async () => {
    const name = unique();
    const first = await world.socket();
    first.subscribe(name);
    await first.readUntil('pusher_internal:subscription_succeeded');
    await world.publish(name, 'one', {});
    const { serial } = await first.readUntil('one');
    first.kill();
    await world.publish(name, 'two', {});
    const second = await world.socket();
    second.subscribe(name, { resume_from: serial });
    assert.equal((await second.read()).event, 'pusher_internal:subscription_succeeded');
    const answer = JSON.parse((await second.read()).data);
    assert.deepEqual([answer.result, answer.events], ['complete', 1]);
    assert.equal((await second.read()).event, 'two');
    for (const event of ['three', 'four', 'five']) await world.publish(name, event, {});
    const third = await world.socket();
    third.subscribe(name, { resume_from: serial });
    assert.equal(JSON.parse((await third.readUntil('pusher_internal:resumed')).data).result, 'gap');
    assert.equal((await third.read()).event, 'three');
  });

  it('can be read by the node SDK', async () => {
    const name = unique();
    for (const event of ['one', 'two']) await world.publish(name, event, { event });
    const { events, complete } = await world.ask(`/channels/${name}/history`, { limit: 1 });
    assert.equal(complete, true);
    assert.deepEqual(events.map((event) => [event.event, JSON.parse(event.data)]), [['two', { event: 'two' }]]);
  });
});
