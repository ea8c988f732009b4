// Requests to the HTTP API that must be refused, and what the refusal says.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { next } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

let world;
before(async () => { world = await World.open(); });
after(() => world.close());

const event = (fields = {}) => JSON.stringify({ name: 'news', channels: [unique()], data: '{}', ...fields });
const post = (body) => world.request('POST', '/events', { body });

describe('an unsigned or wrongly signed request', () => {
  it('is a 401 for the SDK with a wrong secret, and shows the text to sign, not the secret', async () => {
    const sdk = world.publisherWith({ secret: 'wrong' });
    await assert.rejects(sdk.trigger('a', 'b', {}), (error) => {
      assert.equal(error.status, 401);
      assert.match(error.body, /signature/i);
      assert.match(error.body, /POST\\n\/apps\/app-id\/events\\n|POST\n\/apps\/app-id\/events\n/);
      assert.match(error.body, /auth_key=app-key/);
      assert.ok(!error.body.includes(world.app.secret));
      return true;
    });
  });

  it('is a 401 for a wrong key, and names the key', async () => {
    const { status, body } = await world.request('GET', '/channels', { app: { ...world.app, key: 'stranger' } });
    assert.equal(status, 401);
    assert.match(body, /auth_key|key/i);
  });

  it('is a 401 when a part is missing, and names the part', async () => {
    const query = world.publisher.createSignedQueryString({ method: 'GET', path: '/apps/app-id/channels' });
    for (const part of ['auth_key', 'auth_timestamp', 'auth_version', 'auth_signature']) {
      const rest = query.split('&').filter((pair) => !pair.startsWith(`${part}=`)).join('&');
      const { status, body } = await world.send('GET', `/apps/app-id/channels?${rest}`);
      assert.equal(status, 401, part);
      assert.match(body, new RegExp(part.replace('auth_', ''), 'i'));
    }
  });

  it('is a 401 when the body is not the one that was signed', async () => {
    const query = world.publisher.createSignedQueryString({ method: 'POST', path: '/apps/app-id/events', body: event() });
    const { status, body } = await world.send('POST', `/apps/app-id/events?${query}`, event({ name: 'other' }));
    assert.equal(status, 401);
    assert.match(body, /body_md5/);
  });

  it('is a 401 when a parameter was added', async () => {
    const query = world.publisher.createSignedQueryString({ method: 'GET', path: '/apps/app-id/channels' });
    assert.equal((await world.send('GET', `/apps/app-id/channels?${query}&info=user_count`)).status, 401);
  });

  it('FR-089: is a 401 outside of ten minutes, and says what time it is here', async () => {
    const now = Math.floor(Date.now() / 1000);
    for (const [time, expected] of [[now - 590, 200], [now + 590, 200], [now - 610, 401], [now + 610, 401]]) {
      const { status, body } = await world.send('GET', signed(time));
      assert.equal(status, expected, `${time - now} s`);
      if (expected === 401) assert.match(body, /Timestamp expired.*\d{4}-\d{2}-\d{2}T/i);
    }
  });

  it('FR-089: is a 400 or 401 for a timestamp that is none', async () => {
    for (const time of ['abc', '', '-1', '12345678901234567890', '1e9', '0x10']) {
      assert.match(String((await world.send('GET', signed(time))).status), /^40[01]$/, time);
    }
  });

  it('FR-091: verifies with the parameters in any order', async () => {
    const pairs = signed(Math.floor(Date.now() / 1000), { filter_by_prefix: 'presence-', info: 'user_count' }).split('?')[1].split('&');
    for (const order of [pairs, [...pairs].reverse(), [...pairs.slice(2), ...pairs.slice(0, 2)]]) {
      assert.equal((await world.send('GET', `/apps/app-id/channels?${order.join('&')}`)).status, 200);
    }
  });

  /** GET channels, signed by hand, so that the time can be any. */
  function signed(time, params = {}) {
    const all = { auth_key: world.app.key, auth_timestamp: time, auth_version: '1.0', ...params };
    const query = Object.keys(all).sort().map((key) => `${key}=${all[key]}`).join('&');
    const signature = createHmac('sha256', world.app.secret).update(`GET\n/apps/app-id/channels\n${query}`).digest('hex');
    return `/apps/app-id/channels?${query}&auth_signature=${signature}`;
  }
});

describe('a signed request that makes no sense', () => {
  const wrong = {
    'no body at all': undefined,
    'an empty list': '[]',
    'no JSON': '{"name":',
    'a string': '"text"',
    'no name': JSON.stringify({ channels: ['a'], data: '{}' }),
    'no data': JSON.stringify({ name: 'a', channels: ['a'] }),
    'no channel': JSON.stringify({ name: 'a', data: '{}' }),
    'no channel in the list': JSON.stringify({ name: 'a', data: '{}', channels: [] }),
    'channels that are no list': JSON.stringify({ name: 'a', data: '{}', channels: { a: 1 } }),
    'a name that is no string': JSON.stringify({ name: 5, data: '{}', channels: ['a'] }),
  };
  for (const [what, body] of Object.entries(wrong)) {
    it(`FR-099: is a 400 with a text for ${what}`, async () => {
      const answer = await post(body);
      assert.equal(answer.status, 400);
      assert.notEqual(answer.body.trim(), '');
    });
  }

  for (const socketId of ['123', 'a.b', '1.2.3', '1.', '.1', ' 1.2']) {
    it(`FR-098: is a 400 that names the field for the socket id "${socketId}"`, async () => {
      const answer = await post(event({ socket_id: socketId }));
      assert.equal(answer.status, 400);
      assert.match(answer.body, /socket.?id/i);
    });
  }

  for (const socketId of ['', null]) {
    it(`takes the socket id ${JSON.stringify(socketId)} for none`, async () => {
      assert.equal((await post(event({ socket_id: socketId }))).status, 200);
    });
  }

  for (const name of ['a b', 'a#b', '', 'a/b', 'ünï', 'x'.repeat(201)]) {
    it(`FR-098, FR-113: is a 400 that names the field for the channel "${name.slice(0, 10)}"`, async () => {
      const answer = await post(event({ channels: [unique(), name] }));
      assert.equal(answer.status, 400);
      assert.match(answer.body, /channel/i);
    });
  }

  it('FR-113: passes a channel name of 200 characters and an event name of 200', async () => {
    assert.equal((await post(event({ channels: ['x'.repeat(200)], name: 'n'.repeat(200) }))).status, 200);
  });

  it('FR-113: is a 400 for an event name of 201 characters and for 101 channels', async () => {
    assert.equal((await post(event({ name: 'n'.repeat(201) }))).status, 400);
    assert.equal((await post(event({ channels: Array.from({ length: 101 }, () => unique()) }))).status, 400);
  });

  it('FR-110: is a 413 that names the limit for data of one byte too many, counted in UTF-8', async () => {
    const sdk = world.publisher;
    for (const data of ['x'.repeat(10_241), `${'é'.repeat(5_120)}x`]) {
      await assert.rejects(sdk.trigger(unique(), 'news', data), (error) => {
        assert.equal(error.status, 413);
        assert.match(error.body, /10240/);
        return true;
      });
    }
    assert.equal((await sdk.trigger(unique(), 'news', 'é'.repeat(5_120))).status, 200);
  });

  it('is a 404 for an app that does not exist, and for a path that does not', async () => {
    assert.equal((await world.request('GET', '/channels', { app: { ...world.app, id: 'no-such-app' } })).status, 404);
    assert.equal((await world.request('GET', '/nothing-here')).status, 404);
  });
});

describe('a batch', () => {
  const batch = (list) => world.request('POST', '/batch_events', { body: JSON.stringify({ batch: list }) });

  it('FR-099: of eleven events is a 400, and nothing is published', async () => {
    await refusedWhole((good) => Array.from({ length: 11 }, () => good), 400);
  });

  it('FR-099: with one bad event is a 400, and nothing is published', async () => {
    for (const bad of [{}, { channel: 'a b', name: 'n', data: '' }, { channel: 'a', data: '' }, { channel: 'a', name: 'n' }, 5]) {
      await refusedWhole((good) => [good, bad], 400);
    }
  });

  it('with data over the limit is a 413, and nothing is published', async () => {
    await refusedWhole((good) => [good, { ...good, data: 'x'.repeat(10_241) }], 413);
  });

  it('that is no list is a 400', async () => {
    for (const body of ['{}', '{"batch":{}}', '{"batch":5}', '[]', '']) {
      assert.equal((await world.request('POST', '/batch_events', { body })).status, 400, body);
    }
  });

  async function refusedWhole(make, expected) {
    const name = unique();
    const { channel } = await world.subscriber(name);
    const { status, body } = await batch(make({ channel: name, name: 'news', data: '1' }));
    assert.equal(status, expected);
    assert.notEqual(body.trim(), '');
    const first = next(channel.pusher.connection, 'message');
    await world.publish(name, 'end', {});
    assert.equal((await first).event, 'end');
  }
});
