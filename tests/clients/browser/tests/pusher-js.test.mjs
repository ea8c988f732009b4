// The browser build of pusher-js in Chromium: what no test in node can show.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, it } from 'node:test';
import Pusher from 'pusher';
import { startAuth } from '../../shared/auth.mjs';
import { DEVELOPMENT_APP, Server } from '../../shared/server.mjs';
import { until } from '../../shared/wait.mjs';
import { openBrowser } from './chromium.mjs';

const LIBRARY = createRequire(import.meta.url).resolve('pusher-js/dist/web/pusher.min.js');
const PAGE = new URL('page.html', import.meta.url);

/** It bounds a failure, it measures nothing. */
const PATIENCE = { timeout: 60_000 };

let serial = 0;
let server;
let publisher;
let site;
let browser;
let person;

before(async () => {
  server = await Server.start();
  const { id: appId, key, secret } = DEVELOPMENT_APP;
  publisher = new Pusher({ appId, key, secret, host: '127.0.0.1', port: String(server.port), useTLS: false });
  site = await startAuth(publisher, serve);
  browser = await openBrowser();
  person = await browser.person();
});
after(async () => {
  await browser?.close();
  await site?.close();
  await server?.close();
});

/** The pages of the application. */
async function serve(request, response, path) {
  const files = { '/': [PAGE, 'text/html'], '/pusher.js': [LIBRARY, 'text/javascript'] };
  if (request.method !== 'GET' || !files[path]) return false;
  const [file, type] = files[path];
  response.writeHead(200, { 'content-type': type });
  response.end(await readFile(file));
  return true;
}

/** A tab with the page of `user`, connected. */
async function open(user, { key = DEVELOPMENT_APP.key } = {}) {
  const tab = await person.newPage();
  await tab.goto(`${site.url}/?${new URLSearchParams({ user, key, port: server.port })}`);
  await tab.waitForFunction(() => ['connected', 'disconnected'].includes(pusher.connection.state));
  return tab;
}

/** Subscribes in the tab and waits for the confirmation. */
async function join(tab, name) {
  await tab.evaluate((channel) => { subscribe(channel); }, name);
  await tab.waitForFunction((channel) => pusher.channel(channel).subscribed, name);
}

/** What the tab has seen on a channel, as `event` names. */
const events = (tab, name) => tab.evaluate((channel) => seen.filter((entry) => entry.channel === channel).map((entry) => entry.event), name);

/** The data of an event once the tab has seen it. */
async function receives(tab, event) {
  await tab.waitForFunction((name) => seen.some((entry) => entry.event === name), event, PATIENCE);
  return tab.evaluate((name) => seen.find((entry) => entry.event === name).data, event);
}

const unique = (prefix) => `${prefix}browser-${process.pid}-${serial += 1}`;

describe('pusher-js in Chromium', () => {
  it('connects from a page of another origin, with what a browser offers in its handshake', async () => {
    const tab = await open('alice');
    assert.match(await tab.evaluate(() => pusher.connection.socket_id), /^\d+\.\d+$/);
    assert.notEqual(new URL(site.url).port, String(server.port));
    await tab.close();
  });

  it('gives up on an unknown key', async () => {
    const tab = await open('alice', { key: 'no-such-key' });
    assert.deepEqual(await tab.evaluate(() => states), ['connecting', 'disconnected']);
    await tab.close();
  });

  it('receives on a public and on a private channel, in order', async () => {
    const tab = await open('alice');
    for (const name of [unique(''), unique('private-')]) {
      await join(tab, name);
      for (let start = 0; start < 100; start += 10) {
        await publisher.triggerBatch(Array.from({ length: 10 }, (_, n) => ({ channel: name, name: 'n', data: { n: start + n } })));
      }
      await publisher.trigger(name, `end-${name}`, 'grüße 🎉');
      assert.equal(await receives(tab, `end-${name}`), 'grüße 🎉');
      const numbers = await tab.evaluate((channel) => seen.filter((entry) => entry.channel === channel && entry.event === 'n').map((entry) => entry.data.n), name);
      assert.deepEqual(numbers, Array.from({ length: 100 }, (_, n) => n));
    }
    await tab.close();
  });

  it('reports a channel that the application does not grant', async () => {
    const tab = await open('mallory');
    await tab.evaluate((channel) => { subscribe(channel); }, unique('private-'));
    assert.equal((await receives(tab, 'pusher:subscription_error')).status, 403);
    await tab.close();
  });

  it('FR-064: two tabs of one user are one member, who leaves with the last tab', async () => {
    const name = unique('presence-');
    const observer = await open('observer');
    await join(observer, name);
    const tabs = [await open('alice'), await open('alice')];
    for (const tab of tabs) {
      await join(tab, name);
      assert.deepEqual(await tab.evaluate((channel) => Object.keys(pusher.channel(channel).members.members).sort(), name), ['alice', 'observer']);
    }
    await tabs[0].close();
    await until('one tab is gone', async () => {
      const response = await publisher.get({ path: `/channels/${name}`, params: { info: 'subscription_count' } });
      return (await response.json()).subscription_count === 2;
    });
    await publisher.trigger(name, 'fence', {});
    await receives(observer, 'fence');
    await tabs[1].close();
    assert.deepEqual(await receives(observer, 'pusher:member_removed'), { id: 'alice', info: { name: 'alice' } });
    assert.deepEqual(await events(observer, name), ['pusher:subscription_succeeded', 'pusher:member_added', 'fence', 'pusher:member_removed']);
    await observer.close();
  });

  it('client events go from one tab to the other, with the user id, and not back', async () => {
    const name = unique('presence-');
    const [alice, bob] = [await open('alice'), await open('bob')];
    for (const tab of [alice, bob]) await join(tab, name);
    await bob.evaluate((channel) => {
      pusher.channel(channel).bind('client-typing', (data, metadata) => seen.push({ event: 'told', data: { data, metadata } }));
    }, name);
    await alice.evaluate((channel) => { pusher.channel(channel).trigger('client-typing', { on: true }); }, name);
    assert.deepEqual(await receives(bob, 'told'), { data: { on: true }, metadata: { user_id: 'alice' } });
    await publisher.trigger(name, 'end', {});
    await receives(alice, 'end');
    assert.ok(!(await events(alice, name)).includes('client-typing'));
    for (const tab of [alice, bob]) await tab.close();
  });

  it('comes back by itself after the server has restarted', async () => {
    const names = [unique('private-'), unique('presence-')];
    const tab = await open('alice');
    for (const name of names) await join(tab, name);
    const before = await tab.evaluate(() => pusher.connection.socket_id);
    await server.stop('SIGKILL');
    await server.resume();
    await tab.waitForFunction(
      ([list, id]) => pusher.connection.socket_id !== id && list.every((name) => pusher.channel(name).subscribed),
      [names, before], PATIENCE,
    );
    for (const name of names) {
      await publisher.trigger(name, `back-${name}`, 1);
      assert.equal(await receives(tab, `back-${name}`), 1);
    }
    await tab.close();
  });

  it('closing the tab without a word frees the channel', async () => {
    const name = unique('private-');
    const tab = await open('alice');
    await join(tab, name);
    await tab.close();
    await until('the channel is vacant', async () => {
      const response = await publisher.get({ path: `/channels/${name}` });
      return !(await response.json()).occupied;
    });
  });
});
