// Encrypted channels end to end: the SDK encrypts, the server relays, pusher-js decrypts.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { next } from '../../shared/wait.mjs';
import { World, subscribed, unique } from './world.mjs';

let world;
before(async () => { world = await World.open(); });
after(() => world.close());

describe('a client', () => {
  for (const kind of ['private-encrypted-', 'private-encrypted-cache-']) {
    it(`of a ${kind} channel reads what the node SDK encrypted, before and after it came`, async () => {
      const name = unique(kind);
      await world.publish(name, 'state', { text: 'früher 🎉' });
      const client = await world.connected();
      const channel = client.subscribe(name);
      const first = kind.includes('cache') ? next(channel, 'state') : next(channel, 'pusher:subscription_succeeded');
      const told = await first;
      if (kind.includes('cache')) assert.deepEqual(told, { text: 'früher 🎉' });
      const live = next(channel, 'news');
      await world.publish(name, 'news', { n: [1, { a: null }] });
      assert.deepEqual(await live, { n: [1, { a: null }] });
    });
  }

  it('FR-081: is told when the reply of the auth endpoint has no secret, and does not subscribe', async () => {
    const name = unique('private-encrypted-');
    const client = await world.connected({
      channelAuthorization: {
        customHandler: ({ socketId, channelName }, callback) => {
          const { auth } = world.publisher.authorizeChannel(socketId, channelName);
          setTimeout(() => callback(null, { auth }), 0);
        },
      },
    });
    await assert.rejects(subscribed(client, name));
    assert.equal((await world.ask(`/channels/${name}`)).occupied, false);
  });
});

describe('the publisher', () => {
  it('FR-082: does not send one event to an encrypted channel and another', async () => {
    const [a, b] = [unique('private-encrypted-'), unique('private-encrypted-')];
    for (const channels of [[a, unique()], [a, b]]) {
      await assert.rejects(async () => world.publisher.trigger(channels, 'e', { secret: true }));
    }
  });

  it('FR-083: gives a secret of 32 bytes for encrypted channels only, and none without a master key', async () => {
    const authorize = (sdk, name) => sdk.authorizeChannel('1.2', name);
    assert.equal(authorize(world.publisher, 'private-x').shared_secret, undefined);
    const { shared_secret: secret } = authorize(world.publisher, 'private-encrypted-x');
    assert.equal(Buffer.from(secret, 'base64').length, 32);
    const other = authorize(world.publisher, 'private-encrypted-y').shared_secret;
    assert.notEqual(secret, other);
    const keyless = world.publisherWith({ encryptionMasterKeyBase64: undefined });
    assert.throws(() => authorize(keyless, 'private-encrypted-x'));
  });
});
