// The console of the program in Chromium, as an operator sees it, beside official clients.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import Pusher from 'pusher';
import PusherJs from 'pusher-js';
import { DEVELOPMENT_APP, Server } from '../../shared/server.mjs';
import { next } from '../../shared/wait.mjs';
import { openBrowser } from './chromium.mjs';

const CREDENTIALS = { username: 'admin', password: 'correct horse battery' };
const DESKTOP = { viewport: { width: 1280, height: 900 }, httpCredentials: CREDENTIALS };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, colorScheme: 'dark', httpCredentials: CREDENTIALS };

/** Where pictures of the page go, to be looked at. */
const PICTURES = join(process.env.TARGET ?? fileURLToPath(new URL('../../../../target', import.meta.url)), 'lanes');

/** It bounds a failure, it measures nothing. */
const PATIENCE = { timeout: 60_000 };

let server;
let publisher;
let browser;
let page;
const clients = [];

before(async () => {
  mkdirSync(PICTURES, { recursive: true });
  server = await Server.start({ args: ['--client-events'], env: { TIDINGS_CONSOLE_PASSWORD: CREDENTIALS.password } });
  const { id: appId, key, secret } = DEVELOPMENT_APP;
  publisher = new Pusher({ appId, key, secret, host: '127.0.0.1', port: String(server.port), useTLS: false });
  browser = await openBrowser();
  page = await look(DESKTOP);
});
after(async () => {
  for (const client of clients) client.disconnect();
  await browser?.close();
  await server?.close();
});

/** The console in a window of its own, live. */
async function look(options) {
  const person = await browser.person(options);
  const tab = await person.newPage();
  await tab.goto(`${server.url}/console`);
  await tab.waitForSelector('[data-state="live"]', PATIENCE);
  return tab;
}

/** A connected pusher-js whose subscriptions are signed by the SDK, for `user`. */
async function connect(user, sign = (id, name) => publisher.authorizeChannel(id, name, { user_id: user })) {
  const client = new PusherJs(DEVELOPMENT_APP.key, {
    cluster: '',
    wsHost: '127.0.0.1',
    wsPort: server.port,
    forceTLS: false,
    enabledTransports: ['ws'],
    channelAuthorization: { customHandler: ({ socketId, channelName }, done) => done(null, sign(socketId, channelName)) },
    userAuthentication: { customHandler: ({ socketId }, done) => done(null, publisher.authenticateUser(socketId, { id: user })) },
  });
  clients.push(client);
  await next(client.connection, 'connected');
  return client;
}

const open = (name) => page.getByRole('tab', { name }).click();

/** Waits until some element of `selector` has all of these texts in it. */
const shows = (selector, ...texts) => page.waitForFunction(
  ([query, wanted]) => [...document.querySelectorAll(query)].some((item) => wanted.every((text) => item.textContent.includes(text))),
  [selector, texts], PATIENCE,
);

describe('the console in Chromium', () => {
  it('asks for a password', async () => {
    const stranger = await browser.person();
    const tab = await stranger.newPage();
    const response = await tab.goto(`${server.url}/console`).catch((error) => error);
    // Without credentials Chromium shows the answer's text, or gives up at once.
    if (response.status) assert.equal(response.status(), 401);
    else assert.match(String(response), /ERR_INVALID_AUTH_CREDENTIALS/);
    await stranger.close();
  });

  it('shows a client that connects, signs in and subscribes', async () => {
    const ann = await connect('ann');
    ann.signin();
    await next(ann.subscribe('presence-room'), 'pusher:subscription_succeeded');
    await open('Connections');
    await shows('#connections-list tr', ann.connection.socket_id, 'ann');
    await open('Channels');
    await shows('#channels-list tr', 'presence-room');
    await page.getByRole('button', { name: 'presence-room' }).click();
    await shows('#members-list li', 'ann');
    await page.waitForFunction(() => document.querySelector('#now-connections').textContent === '1', null, PATIENCE);
    await page.screenshot({ path: join(PICTURES, 'console-channels.png') });
  });

  it('shows events as they are published, filtered and paused on wish', async () => {
    await open('Events');
    await publisher.trigger('news', 'headline', { text: 'grüße <b>🎉</b>' });
    await shows('#events-list li', 'news', 'headline', 'grüße <b>🎉</b>');
    const row = page.locator('#events-list li', { hasText: 'headline' });
    await row.locator('summary').click();
    assert.deepEqual(JSON.parse(await row.locator('pre').textContent()), { text: 'grüße <b>🎉</b>' });
    await page.locator('#events-filter').fill('nothing has this name');
    await page.waitForFunction(() => document.querySelectorAll('#events-list li').length === 0, null, PATIENCE);
    await page.locator('#events-filter').fill('HEADLINE');
    await shows('#events-list li', 'headline');
    await page.locator('#events-filter').fill('');
    await page.getByRole('button', { name: 'Pause' }).click();
    await publisher.trigger('news', 'later', {});
    await shows('#events-lost', 'paused, 1 new');
    assert.equal(await page.locator('#events-list li', { hasText: 'later' }).count(), 0);
    await page.getByRole('button', { name: 'Go on' }).click();
    await shows('#events-list li', 'later');
    await page.screenshot({ path: join(PICTURES, 'console-events.png') });
  });

  it('sends an event to the subscribers, but for one who is left out', async () => {
    const [bob, carol] = [await connect('bob'), await connect('carol')];
    const channels = [bob, carol].map((client) => client.subscribe('my-channel'));
    await Promise.all(channels.map((channel) => next(channel, 'pusher:subscription_succeeded')));
    const seen = [];
    channels[1].bind('from-console', (data) => seen.push(data));
    await open('Send');
    await page.getByLabel('Event', { exact: true }).fill('from-console');
    await page.getByLabel('Data, as JSON').fill('{"n": }');
    await shows('#send-check', 'double quotes');
    await page.getByLabel('Data, as JSON').fill('{"n": 7}');
    await page.getByLabel('Leave out').fill(carol.connection.socket_id);
    const received = next(channels[0], 'from-console');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    assert.deepEqual(await received, { n: 7 });
    await shows('#send-result', 'Sent to my-channel');
    const fence = next(channels[1], 'fence');
    await publisher.trigger('my-channel', 'fence', {});
    await fence;
    assert.deepEqual(seen, []);
    await page.getByLabel('Channel', { exact: true }).fill('not a name');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await shows('#send-result.bad-text', 'channel');
  });

  it('shows a wrong signature under what was refused', async () => {
    const mallory = await connect('mallory', () => ({ auth: `${DEVELOPMENT_APP.key}:${'0'.repeat(64)}` }));
    await next(mallory.subscribe('private-vault'), 'pusher:subscription_error');
    await open('Refused');
    await shows('#refused-list tr', 'subscription', '401', 'private-vault');
    await page.screenshot({ path: join(PICTURES, 'console-refused.png') });
  });

  it('ends the connections of a user', async () => {
    const dave = await connect('dave');
    dave.signin();
    await open('Connections');
    await shows('#connections-list tr', 'dave');
    const ended = next(dave.connection, 'error', ({ error }) => error?.data?.code === 4009 || error?.code === 4009);
    page.once('dialog', (dialog) => dialog.accept());
    await page.locator('#connections-list tr', { hasText: 'dave' }).getByRole('button').click();
    await ended;
  });

  it('is reached by the keyboard', async () => {
    await page.getByRole('tab', { name: 'Events' }).focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => document.activeElement.id === 'tab-channels' && !document.querySelector('#panel-channels').hidden);
    await page.keyboard.press('End');
    await page.waitForFunction(() => document.activeElement.id === 'tab-server');
    await page.keyboard.press('ArrowRight');
    await page.waitForFunction(() => document.activeElement.id === 'tab-events');
  });

  it('fits on a phone, in the dark', async () => {
    const phone = await look(PHONE);
    await publisher.trigger('a-channel-with-a-rather-long-name-for-a-small-screen', 'an-event', { text: 'word '.repeat(60) });
    await phone.waitForFunction(() => document.querySelector('#events-list li details'), null, PATIENCE);
    for (const name of ['events', 'channels', 'connections', 'refused', 'send', 'server']) {
      await phone.locator(`#tab-${name}`).click();
      const overflow = await phone.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${name} is wider than the screen by ${overflow}`);
    }
    await phone.locator('#tab-events').click();
    await phone.screenshot({ path: join(PICTURES, 'console-phone.png') });
    await phone.context().close();
  });
});
