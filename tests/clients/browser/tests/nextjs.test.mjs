// The Next.js application in ../nextjs, built and started as a person would, in Chromium.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DEVELOPMENT_APP, Server, freePort } from '../../shared/server.mjs';
import { until } from '../../shared/wait.mjs';
import { openBrowser } from './chromium.mjs';

const FOLDER = fileURLToPath(new URL('../../nextjs', import.meta.url));

/** It bounds a failure, it measures nothing. */
const PATIENCE = { timeout: 60_000 };

let server;
let site;
let browser;

before(async () => {
  server = await Server.start();
  site = await startSite();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await site?.close();
  await server?.close();
});

/** `next start` with the environment of .env.example, but for the port. */
async function startSite() {
  const port = await freePort();
  const args = ['node_modules/next/dist/bin/next', 'start', '--hostname', '127.0.0.1', '--port', String(port)];
  const child = spawn(process.execPath, args, {
    cwd: FOLDER,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NEXT_TELEMETRY_DISABLED: '1',
      PUSHER_APP_ID: DEVELOPMENT_APP.id,
      PUSHER_KEY: DEVELOPMENT_APP.key,
      PUSHER_SECRET: DEVELOPMENT_APP.secret,
      PUSHER_HOST: '127.0.0.1',
      PUSHER_PORT: String(server.port),
    },
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let log = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { log += text; });
  const url = `http://127.0.0.1:${port}`;
  await until('the application answers', async () => {
    assert.equal(child.exitCode, null, `next start ended:\n${log}`);
    return fetch(url).then((response) => response.ok, () => false);
  });
  return { url, close: () => { child.kill(); return exited; } };
}

/** A person with cookies of their own who has entered under a name; gives the tab. */
async function enter(name) {
  const person = await browser.person();
  const tab = await person.newPage();
  await tab.goto(site.url);
  await tab.getByLabel('Your name').fill(name);
  await tab.getByRole('button', { name: 'Enter' }).click();
  await shows(tab, '#state', ['connected']);
  return tab;
}

/** Waits until the elements of `selector` have exactly these texts. */
async function shows(tab, selector, texts) {
  try {
    await tab.waitForFunction(
      ([query, expected]) => JSON.stringify([...document.querySelectorAll(query)].map((item) => item.textContent)) === expected,
      [selector, JSON.stringify(texts)], PATIENCE,
    );
  } catch (error) {
    const found = await tab.locator(selector).allTextContents();
    throw new Error(`${selector} shows ${JSON.stringify(found)}, not ${JSON.stringify(texts)}`, { cause: error });
  }
}

describe('the Next.js application', () => {
  it('shows people and messages in every tab', async () => {
    const ann = await enter('Ann');
    await shows(ann, '#people li', ['Ann']);
    const bob = await enter('Bob');
    for (const tab of [ann, bob]) await shows(tab, '#people li', ['Ann', 'Bob']);

    await ann.getByRole('button', { name: 'Server Action' }).click();
    const first = 'Ann: hello (Server Action)';
    for (const tab of [ann, bob]) await shows(tab, '#messages li', [first]);

    await bob.getByRole('button', { name: 'Route Handler' }).click();
    const second = 'Bob: hello (Route Handler)';
    for (const tab of [ann, bob]) await shows(tab, '#messages li', [first, second]);

    const another = await ann.context().newPage();
    await another.goto(site.url);
    await shows(another, '#people li', ['Ann', 'Bob']);
    await another.close();
    await bob.getByRole('button', { name: 'Route Handler' }).click();
    for (const tab of [ann, bob]) await shows(tab, '#messages li', [first, second, second]);
    await shows(bob, '#people li', ['Ann', 'Bob']);
    if (process.env.SCREENSHOT) await bob.screenshot({ path: process.env.SCREENSHOT });

    await ann.close();
    await shows(bob, '#people li', ['Bob']);
  });

  it('comes back after the server has restarted', async () => {
    const carol = await enter('Carol');
    await server.stop('SIGKILL');
    await server.resume();
    // Whatever is published before the tab is back is lost: so click until something is shown.
    await until('a message arrives', async () => {
      await carol.getByRole('button', { name: 'Server Action' }).click();
      return (await carol.locator('#messages li').count()) > 0;
    });
    await shows(carol, '#state', ['connected']);
    await until('Carol is in the list', async () => (await carol.locator('#people li').allTextContents()).includes('Carol'));
  });

  it('grants nothing to somebody who has not entered, or to a channel that it does not have', async () => {
    const ask = (form) => fetch(`${site.url}/api/pusher/auth`, { method: 'POST', body: new URLSearchParams(form) });
    assert.equal((await ask({ socket_id: '1.1', channel_name: 'private-room' })).status, 403);
    const dave = await enter('Dave');
    const status = await dave.evaluate(async () => {
      const body = new URLSearchParams({ socket_id: '1.1', channel_name: 'private-other' });
      return (await fetch('/api/pusher/auth', { method: 'POST', body })).status;
    });
    assert.equal(status, 403);
  });
});
