// Apps in a real database: changed while the program runs, seen by the official clients.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import PublisherSdk from 'pusher';
import Pusher from 'pusher-js';
import { Server, programPath } from '../../shared/server.mjs';
import { next, record, until } from '../../shared/wait.mjs';
import { Database } from './database.mjs';

/** Soketi's own table, in the words of its documentation for MySQL, cut to what differs from ours. */
const OF_SOKETI = {
  mysql: `CREATE TABLE apps (id varchar(255) NOT NULL PRIMARY KEY, \`key\` varchar(255) NOT NULL, secret varchar(255) NOT NULL,
    max_connections integer(10) NOT NULL, enable_client_messages tinyint(1) NOT NULL, enabled tinyint(1) NOT NULL,
    max_backend_events_per_sec integer(10) NOT NULL, max_client_events_per_sec integer(10) NOT NULL,
    max_read_req_per_sec integer(10) NOT NULL, webhooks json, max_channel_name_length tinyint(3) NULL)`,
  postgres: `CREATE TABLE apps (id varchar(255) PRIMARY KEY, "key" varchar(255) NOT NULL, secret varchar(255) NOT NULL,
    max_connections integer NOT NULL, enable_client_messages smallint NOT NULL, enabled smallint NOT NULL,
    max_backend_events_per_sec integer NOT NULL, max_client_events_per_sec integer NOT NULL,
    max_read_req_per_sec integer NOT NULL, webhooks json, max_channel_name_length smallint NULL)`,
};

for (const kind of ['postgres', 'mysql', 'sqlite']) {
  describe(`apps in ${kind}`, () => {
    let database;
    let server;
    const clients = [];

    const client = (key) => {
      const made = new Pusher(key, {
        wsHost: '127.0.0.1', wsPort: server.port, forceTLS: false, enabledTransports: ['ws'], cluster: '',
      });
      clients.push(made);
      return made;
    };
    const sdk = (appId, key, secret) => new PublisherSdk({ appId, key, secret, host: '127.0.0.1', port: `${server.port}` });
    const migrate = () => execFileSync(programPath(), ['migrate'], {
      encoding: 'utf8', env: { ...process.env, TIDINGS_APPS_URL: database.url },
    });
    const insert = (id, more = {}) => {
      const row = { id, key: `${id}-key`, secret: `${id}-secret`, ...more };
      const names = Object.keys(row).map((name) => database.quoted(name)).join(', ');
      const values = Object.values(row).map((value) => (typeof value === 'number' ? value : `'${value}'`)).join(', ');
      database.sql(`INSERT INTO apps (${names}) VALUES (${values})`);
    };

    before(async () => {
      database = await Database.start(kind);
      assert.match(migrate(), /the table `apps` .* is up to date/);
      migrate(); // a second time changes nothing
      insert('one', { enable_client_messages: 1 });
      const env = { TIDINGS_APPS_URL: database.url, TIDINGS_APPS_REFRESH: '100ms' };
      server = await Server.start({ env });
    });
    after(async () => {
      for (const made of clients) made.disconnect();
      await server?.close();
      await database?.close();
    });

    it('are served, and those that are added too, without a restart', async () => {
      const first = client('one-key');
      await next(first.connection, 'connected');
      insert('two', { options: '{"history_events": 5}' });
      await until('the second app', () => /added=\["two"\]/.test(server.log));
      const second = client('two-key');
      const channel = second.subscribe('orders');
      await next(channel, 'pusher:subscription_succeeded');
      const event = next(channel, 'created');
      assert.equal((await sdk('two', 'two-key', 'two-secret').trigger('orders', 'created', { n: 1 })).status, 200);
      assert.deepEqual(await event, { n: 1 });
      assert.equal(first.connection.state, 'connected');
    });

    it('change their settings and secrets for those who are connected', async () => {
      const one = client('one-key');
      await next(one.connection, 'connected');
      database.sql("UPDATE apps SET secret = 'new-secret', previous_secret = 'one-secret' WHERE id = 'one'");
      await until('the change', () => /changed=\["one"\]/.test(server.log));
      for (const secret of ['one-secret', 'new-secret']) {
        assert.equal((await sdk('one', 'one-key', secret).get({ path: '/channels' })).status, 200, secret);
      }
      assert.equal(one.connection.state, 'connected');
    });

    it('close their sockets when they are disabled, and when they are gone', async () => {
      const one = client('one-key');
      await next(one.connection, 'connected');
      const errors = record(one.connection, 'error');
      database.sql("UPDATE apps SET enabled = 0 WHERE id = 'one'");
      await until('the close', () => errors.some((error) => error.error?.data?.code === 4003));
      database.sql("DELETE FROM apps WHERE id = 'two'");
      await until('the removal', () => /removed=\["two"\]/.test(server.log));
      const two = client('two-key');
      const refused = record(two.connection, 'error');
      await until('the refusal', () => refused.some((error) => error.error?.data?.code === 4001));
      database.sql("UPDATE apps SET enabled = 1 WHERE id = 'one'");
    });

    if (kind !== 'sqlite') {
      it('stay as they were while the database is away, and follow it when it is back', async () => {
        const publish = () => sdk('one', 'one-key', 'new-secret').trigger('a', 'b', {}).catch((error) => error);
        await until('the app is back', async () => (await publish()).status === 200);
        await database.stop();
        await until('the warning', () => /the apps stay as they were/.test(server.log));
        const one = client('one-key');
        await next(one.connection, 'connected');
        await database.resume();
        insert('three');
        await until('the third app', () => /added=\["three"\]/.test(server.log));
        assert.equal(one.connection.state, 'connected');
        assert.ok(!server.log.includes('a-p@ss') && !server.log.includes('a-p%40ss'), 'the password is in the log');
      });

      it('are read from a table of Soketi by its environment', async () => {
        database.sql('DROP TABLE apps');
        database.sql(OF_SOKETI[kind]);
        insert('theirs', {
          max_connections: -1, enable_client_messages: 1, enabled: 1, max_backend_events_per_sec: -1,
          max_client_events_per_sec: -1, max_read_req_per_sec: -1, webhooks: '[]',
        });
        const name = kind.toUpperCase();
        const env = {
          SOKETI_APP_MANAGER_DRIVER: kind,
          [`SOKETI_DB_${name}_HOST`]: '127.0.0.1',
          [`SOKETI_DB_${name}_PORT`]: `${database.port}`,
          [`SOKETI_DB_${name}_USERNAME`]: 'tidings',
          [`SOKETI_DB_${name}_PASSWORD`]: 'a-p@ss/word',
          [`SOKETI_DB_${name}_DATABASE`]: kind === 'mysql' ? 'main' : 'postgres',
        };
        const other = await Server.start({ env });
        const theirs = new PublisherSdk({
          appId: 'theirs', key: 'theirs-key', secret: 'theirs-secret', host: '127.0.0.1', port: `${other.port}`,
        });
        try {
          assert.equal((await theirs.trigger('a', 'b', {})).status, 200, other.log);
        } finally {
          await other.close();
        }
      });
    }
  });
}
