// Apps that are used before they were read: looked up in a database or at an endpoint when somebody names them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import PublisherSdk from 'pusher';
import Pusher from 'pusher-js';
import { WebSocket } from 'ws';
import { Server, freePort, programPath } from '../../shared/server.mjs';
import { next, record, until } from '../../shared/wait.mjs';
import { Database } from './database.mjs';

/** Clients and publishers of a server; `close` ends the clients. */
class World {
  clients = [];

  constructor(server) {
    this.server = server;
  }

  client(key) {
    const made = new Pusher(key, {
      wsHost: '127.0.0.1', wsPort: this.server.port, forceTLS: false, enabledTransports: ['ws'], cluster: '',
    });
    this.clients.push(made);
    return made;
  }

  publish(id) {
    const sdk = new PublisherSdk({
      appId: id, key: `${id}-key`, secret: `${id}-secret`, host: '127.0.0.1', port: `${this.server.port}`,
    });
    return sdk.trigger('orders', 'created', { n: 1 }).catch((error) => error);
  }

  /** The code that a client of a key is refused with at first. */
  async refusal(key) {
    const client = this.client(key);
    const error = await next(client.connection, 'error', (told) => told.error?.data?.code);
    client.disconnect();
    return error.error.data.code;
  }

  close() {
    for (const made of this.clients) made.disconnect();
  }
}

/** Resolves with the code that the server closes with. */
function closeCode(server, key) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`${server.webSocketUrl}/app/${key}?protocol=7`);
    socket.once('close', resolve);
    socket.once('error', reject);
  });
}

for (const kind of ['postgres', 'mysql', 'sqlite']) {
  describe(`an app that is new in ${kind}`, () => {
    let database;
    let server;
    let world;
    const insert = (id, more = {}) => {
      const row = { id, key: `${id}-key`, secret: `${id}-secret`, ...more };
      const names = Object.keys(row).map((name) => database.quoted(name)).join(', ');
      database.sql(`INSERT INTO apps (${names}) VALUES (${Object.values(row).map((value) => `'${value}'`).join(', ')})`);
    };

    before(async () => {
      database = await Database.start(kind);
      const env = { TIDINGS_APPS_URL: database.url, TIDINGS_APPS_REFRESH: '10m' };
      execFileSync(programPath(), ['migrate'], { encoding: 'utf8', env: { ...process.env, ...env } });
      insert('old');
      server = await Server.start({ env });
      world = new World(server);
    });
    after(async () => {
      world?.close();
      await server?.close();
      await database?.close();
    });

    it('is connected to and published to at once', async () => {
      insert('one', { options: '{"client_events": true}' });
      const channel = world.client('one-key').subscribe('orders');
      await next(channel, 'pusher:subscription_succeeded');
      const event = next(channel, 'created');
      assert.equal((await world.publish('one')).status, 200);
      assert.deepEqual(await event, { n: 1 });
      insert('two');
      assert.equal((await world.publish('two')).status, 200, server.log);
    });

    it('is not mistaken for one of another name', async () => {
      assert.equal(await closeCode(server, 'OLD-KEY'), 4001);
      assert.equal(await closeCode(server, 'one'), 4001);
      assert.equal((await world.publish('one-key')).status, 404);
    });

    if (kind === 'postgres') {
      it('is found by an id that is a number', async () => {
        database.sql('CREATE TABLE numbered (id integer PRIMARY KEY, "key" text, secret text)');
        const env = { TIDINGS_APPS_URL: database.url, TIDINGS_APPS_REFRESH: '10m', TIDINGS_APPS_TABLE: 'numbered' };
        const other = await Server.start({ env });
        try {
          database.sql(`INSERT INTO numbered VALUES (8, '8-key', '8-secret')`);
          const there = new World(other);
          assert.equal((await there.publish('8')).status, 200, other.log);
          assert.equal((await there.publish('x')).status, 404);
        } finally {
          await other.close();
        }
      });
    }

    if (kind !== 'sqlite') {
      it('is waited for while the database is away', async () => {
        insert('three');
        if (kind === 'postgres') {
          // It waits for those who are connected when it is told to end, and answers them until then.
          database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' "
            + 'AND pid <> pg_backend_pid()');
        }
        await database.stop();
        assert.equal(await world.refusal('three-key'), 4100);
        assert.equal((await world.publish('three')).status, 503);
        assert.match(server.log, /an app that is not known here cannot be looked up/);
        assert.equal((await world.publish('old')).status, 200);
        const three = world.client('three-key');
        await next(three.connection, 'error');
        await database.resume();
        await next(three.connection, 'connected'); // by itself
        assert.match(server.log, /apps can be looked up again/);
        assert.equal(server.log.match(/cannot be looked up/g).length, 1);
        assert.ok(!server.log.includes('a-p@ss') && !server.log.includes('a-p%40ss'), 'the password is in the log');
      });
    }
  });
}

/** An endpoint of apps that knows the questions for one app, and notes all. */
class Endpoint {
  apps = [];
  asked = [];
  listed = 0;
  /** Whether it answers with all apps whatever is asked. */
  isPlain = false;
  /** What the next answers to the question for all wait for. */
  gate = Promise.resolve();

  static async start() {
    const endpoint = new Endpoint();
    endpoint.port = await freePort();
    await endpoint.resume();
    return endpoint;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/apps?env=test`;
  }

  put(id) {
    this.apps.push({ id, key: `${id}-key`, secret: `${id}-secret` });
  }

  async resume() {
    this.http = createServer((request, response) => this.#answer(request, response));
    await new Promise((resolve, reject) => this.http.once('error', reject).listen(this.port, '127.0.0.1', resolve));
  }

  async #answer(request, response) {
    const query = new URL(request.url, 'http://x').searchParams;
    assert.equal(query.get('env'), 'test');
    assert.equal(request.headers.authorization, 'Bearer the-token');
    let apps = [...this.apps];
    if (query.has('key') || query.has('id')) {
      this.asked.push(query.get('key') ?? query.get('id'));
      if (!this.isPlain) apps = apps.filter((app) => app.key === query.get('key') || app.id === query.get('id'));
    } else {
      this.listed += 1;
      await this.gate;
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ apps }));
  }

  stop() {
    this.http.closeAllConnections();
    return new Promise((resolve) => this.http.close(resolve));
  }
}

describe('an app that is new at an endpoint', () => {
  const start = async (endpoint, refresh, more = {}) => Server.start({
    env: { TIDINGS_APPS_URL: endpoint.url, TIDINGS_APPS_TOKEN: 'the-token', TIDINGS_APPS_REFRESH: refresh, ...more },
  });

  it('is connected to and published to at once, and many unknown keys make few questions', async () => {
    const endpoint = await Endpoint.start();
    const server = await start(endpoint, '10m', { TIDINGS_APPS_LOOKUPS_PER_SECOND: '20' });
    const world = new World(server);
    try {
      endpoint.put('one');
      await next(world.client('one-key').connection, 'connected');
      endpoint.put('two');
      assert.equal((await world.publish('two')).status, 200, server.log);
      assert.deepEqual(endpoint.asked, ['one-key', 'two']);

      const began = Date.now();
      const codes = {};
      const ask = async (from) => {
        for (let number = from; number < 1000; number += 50) {
          const code = await closeCode(server, `nobody-${number}`);
          codes[code] = (codes[code] ?? 0) + 1;
        }
      };
      await Promise.all(Array.from({ length: 50 }, (_, from) => ask(from)));
      const seconds = Math.floor((Date.now() - began) / 1000) + 2;
      const questions = endpoint.asked.length - 2;
      console.log(`1000 unknown keys: ${questions} questions in ${Date.now() - began} ms, closed with`, codes);
      assert.ok(questions <= 20 * seconds, `${questions} questions in ${seconds} s`);
      assert.equal((codes[4001] ?? 0) + (codes[4100] ?? 0), 1000);
      assert.equal(codes[4001], questions);
    } finally {
      world.close();
      await server.close();
      await endpoint.stop();
    }
  });

  it('is waited for while the endpoint is away, and taken from an endpoint that knows only the whole list', async () => {
    const endpoint = await Endpoint.start();
    const server = await start(endpoint, '10m');
    const world = new World(server);
    try {
      await endpoint.stop();
      assert.equal(await world.refusal('one-key'), 4100);
      const one = world.client('one-key');
      await next(one.connection, 'error');
      endpoint.isPlain = true;
      endpoint.put('other');
      endpoint.put('one');
      await endpoint.resume();
      await next(one.connection, 'connected');
      assert.equal(server.log.match(/cannot be looked up/g).length, 1);
      assert.ok(!server.log.includes('the-token'));
    } finally {
      world.close();
      await server.close();
      await endpoint.stop();
    }
  });

  it('stays when a list that was asked for before comes without it, and goes with the next one', async () => {
    const endpoint = await Endpoint.start();
    const server = await start(endpoint, '500ms');
    const world = new World(server);
    try {
      let open;
      endpoint.gate = new Promise((resolve) => { open = resolve; });
      const listed = endpoint.listed;
      await until('the old list to be asked for', () => endpoint.listed > listed);
      endpoint.put('one');
      const one = world.client('one-key');
      await next(one.connection, 'connected');
      const errors = record(one.connection, 'error');
      // Every list from now on is without it; only the old one was asked for before.
      endpoint.apps.pop();
      const held = endpoint.listed;
      let openNext;
      endpoint.gate = new Promise((resolve) => { openNext = resolve; });
      open();
      await until('the next list to be asked for', () => endpoint.listed > held);
      await sleep(300);
      assert.deepEqual(errors, [], 'the old list has withdrawn the app');
      assert.equal(one.connection.state, 'connected');
      openNext();
      await until('the app to be withdrawn', () => errors.some((error) => error.error?.data?.code === 4001));
      assert.match(server.log, /removed=\["one"\]/);
    } finally {
      world.close();
      await server.close();
      await endpoint.stop();
    }
  });

  it('is not in the place of one of the configuration, and SIGHUP leaves it', async () => {
    const endpoint = await Endpoint.start();
    const config = '[[apps]]\nid = "own"\nkey = "own-key"\nsecret = "own-secret"\n';
    const env = { TIDINGS_APPS_URL: endpoint.url, TIDINGS_APPS_TOKEN: 'the-token', TIDINGS_APPS_REFRESH: '10m' };
    const server = await Server.start({ config, env });
    const world = new World(server);
    try {
      endpoint.apps.push({ id: 'own', key: 'stolen-key', secret: 'x' });
      assert.equal(await closeCode(server, 'stolen-key'), 4001);
      assert.match(server.log, /the app `own` is left out: another has this id/);
      assert.equal((await world.publish('own')).status, 200);
      endpoint.put('one');
      const one = world.client('one-key');
      await next(one.connection, 'connected');
      process.kill(server.pid, 'SIGHUP');
      await until('the configuration', () => /configuration read again/.test(server.log));
      assert.equal((await world.publish('one')).status, 200);
      assert.equal(one.connection.state, 'connected');
    } finally {
      world.close();
      await server.close();
      await endpoint.stop();
    }
  });

  it('is unknown until the next list where nothing is looked up', async () => {
    const endpoint = await Endpoint.start();
    const server = await start(endpoint, '10m', { TIDINGS_APPS_LOOKUPS_PER_SECOND: '0' });
    try {
      endpoint.put('one');
      assert.equal(await closeCode(server, 'one-key'), 4001);
      assert.deepEqual(endpoint.asked, []);
    } finally {
      await server.close();
      await endpoint.stop();
    }
  });
});
