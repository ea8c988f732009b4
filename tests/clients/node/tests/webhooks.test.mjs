// Webhooks, verified by the official SDK: `pusher.webhook(request)` must take each of them for genuine.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { until } from '../../shared/wait.mjs';
import { World, unique } from './world.mjs';

const APP = { id: 'hooked', key: 'hooked-key', secret: 'hooked-secret' };

const folder = mkdtempSync(join(tmpdir(), 'tidings-webhooks-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** An authority of our own and a certificate for localhost that it has signed. */
function certificates() {
  const at = (name) => join(folder, name);
  const openssl = (...args) => {
    const run = spawnSync('openssl', args, { encoding: 'utf8' });
    assert.equal(run.status, 0, run.stderr ?? String(run.error));
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...newKey, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=ours', '-days', '2');
  openssl('req', ...newKey, '-keyout', at('key.pem'), '-out', at('request.pem'), '-subj', '/CN=localhost');
  writeFileSync(at('names'), 'subjectAltName=DNS:localhost\n');
  openssl('x509', '-req', '-in', at('request.pem'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial',
    '-out', at('cert.pem'), '-days', '2', '-extfile', at('names'));
  return { ca: at('ca.pem'), key: readFileSync(at('key.pem')), cert: readFileSync(at('cert.pem')) };
}

/** An endpoint that keeps what the SDK takes for genuine, and fails the test for anything else. */
async function endpoint(server, scheme) {
  const kept = { events: [], requests: [], answers: [] };
  server.on('request', async (request, response) => {
    let body = '';
    for await (const piece of request.setEncoding('utf8')) body += piece;
    kept.requests.push({ headers: request.headers, rawBody: body });
    response.writeHead(kept.answers.shift() ?? 200).end();
    if (response.statusCode === 200) kept.events.push(...verified({ headers: request.headers, rawBody: body }));
  });
  await new Promise((resolve) => server.listen(0, resolve));
  kept.url = `${scheme}://localhost:${server.address().port}/hook`;
  kept.close = () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); });
  return kept;
}

/** The events of a request, by the official SDK. */
function verified(request) {
  const webhook = world.publisher.webhook(request);
  if (!webhook.isValid()) return [{ name: `not genuine: ${JSON.stringify(request)}` }];
  assert.ok(Math.abs(webhook.getTime() - Date.now()) < 300_000);
  return webhook.getEvents();
}

let world;
let plain;
let secure;
before(async () => {
  const { ca, ...identity } = certificates();
  process.env.SSL_CERT_FILE = ca; // the program trusts what the system trusts, and this says what that is
  plain = await endpoint(http.createServer(), 'http');
  secure = await endpoint(https.createServer(identity), 'https');
  world = await World.open({
    app: APP,
    config: `
      webhook_delay = "200ms"
      webhook_backoff = "20ms"
      [[apps]]
      id = "${APP.id}"
      key = "${APP.key}"
      secret = "${APP.secret}"
      client_events = true
      [[apps.webhooks]]
      url = "${plain.url}"
      [[apps.webhooks]]
      url = "${secure.url}"
      event_types = ["member_added", "member_removed", "connected", "disconnected"]
      batching = true
    `,
  });
});
after(async () => {
  await world?.close();
  await plain?.close();
  await secure?.close();
});

const about = (kept, channel) => kept.events.filter((event) => event.channel === channel);

describe('webhooks', () => {
  it('tell of a presence channel what happens in it, and the SDK takes them for genuine', async () => {
    const name = unique('presence-');
    const { client, channel } = await world.subscriber(name, { user: 'ann' });
    const socketId = client.connection.socket_id;
    channel.trigger('client-typing', { text: 'Zoë "quoted"' });
    await until('the client event', () => about(plain, name).length === 3);
    client.unsubscribe(name);
    await until('the departure', () => about(plain, name).length === 5);
    const byName = Object.fromEntries(about(plain, name).map((event) => [event.name, event]));
    assert.deepEqual(Object.keys(byName).sort(), [
      'channel_occupied', 'channel_vacated', 'client_event', 'member_added', 'member_removed',
    ]);
    assert.deepEqual(byName.member_removed, { name: 'member_removed', channel: name, user_id: 'ann' });
    assert.deepEqual(byName.client_event, {
      name: 'client_event',
      channel: name,
      event: 'client-typing',
      data: '{"text":"Zoë \\"quoted\\""}',
      socket_id: socketId,
      user_id: 'ann',
    });
  });

  it('reach an https endpoint whose certificate the system trusts, with the events that it asks for', async () => {
    const name = unique('presence-');
    const { client } = await world.subscriber(name, { user: 'bob' });
    const socketId = client.connection.socket_id;
    client.disconnect();
    await until('the departure', () => about(secure, name).length === 2);
    assert.deepEqual(about(secure, name).map((event) => event.name), ['member_added', 'member_removed']);
    const ofSocket = () => secure.events.filter((event) => event.socket_id === socketId).map((event) => event.name);
    await until('both ends of the connection', () => ofSocket().length === 2);
    assert.deepEqual(ofSocket(), ['connected', 'disconnected']);
  });

  it('FR-104: are sent again unchanged until they are taken', async () => {
    plain.answers.push(500, 503, 302);
    const before = plain.requests.length;
    const name = unique();
    await world.subscriber(name);
    await until('the fourth attempt', () => about(plain, name).length === 1);
    const attempts = plain.requests.slice(before).filter((request) => request.rawBody.includes(name));
    assert.equal(attempts.length, 4);
    for (const { rawBody, headers } of attempts) {
      assert.equal(rawBody, attempts[0].rawBody);
      assert.equal(headers['x-pusher-signature'], attempts[0].headers['x-pusher-signature']);
    }
  });

  it('with another secret are not genuine', () => {
    const request = plain.requests.at(-1);
    const other = world.publisherWith({ secret: 'another' });
    assert.equal(other.webhook(request).isValid(), false);
  });

  it('tell the last departures when the server ends', async () => {
    const name = unique();
    const { client } = await world.subscriber(name);
    client.connection.bind('disconnected', () => client.disconnect());
    await world.server.stop();
    client.disconnect();
    assert.deepEqual(about(plain, name).map((event) => event.name), ['channel_occupied', 'channel_vacated']);
    await world.server.resume();
  });
});
