// PostgreSQL, MariaDB and SQLite as Debian has them, each in a folder of its own, on loopback.

import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../shared/server.mjs';
import { until } from '../../shared/wait.mjs';

const PASSWORD = 'a-p@ss/word';

/** The folder of PostgreSQL's programs, which Debian keeps out of the path. */
function postgresPrograms() {
  const versions = '/usr/lib/postgresql';
  const newest = existsSync(versions) ? readdirSync(versions).sort((a, b) => b - a)[0] : undefined;
  return newest ? join(versions, newest, 'bin/') : '';
}

/** Neither server runs as root. */
function as(user, command) {
  return process.getuid() === 0 ? ['runuser', '-u', user, '--', ...command] : command;
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}

/** A database that can be stopped and started again. */
export class Database {
  #child;
  folder = mkdtempSync(join(tmpdir(), 'tidings-db-'));

  static async start(kind) {
    const database = new Database();
    database.kind = kind;
    if (kind === 'sqlite') {
      database.url = `sqlite:${join(database.folder, 'apps.db')}`;
      return database;
    }
    chmodSync(database.folder, 0o777);
    database.port = await freePort();
    database.data = join(database.folder, 'data');
    if (kind === 'postgres') {
      run(as('postgres', [`${postgresPrograms()}initdb`, '-D', database.data, '-A', 'trust', '--no-sync', '-U', 'tidings']));
      database.url = `postgres://tidings:${encodeURIComponent(PASSWORD)}@127.0.0.1:${database.port}/postgres`;
    } else {
      run(as('mysql', ['mariadb-install-db', `--datadir=${database.data}`, '--auth-root-authentication-method=normal',
        '--skip-test-db']));
      database.url = `mysql://tidings:${encodeURIComponent(PASSWORD)}@127.0.0.1:${database.port}/main`;
    }
    await database.resume();
    if (kind === 'mysql') {
      database.#root('CREATE DATABASE main');
      database.#root(`CREATE USER tidings@'127.0.0.1' IDENTIFIED BY '${PASSWORD}'`);
      database.#root("GRANT ALL ON main.* TO tidings@'127.0.0.1'");
    }
    return database;
  }

  /** Starts the stopped server again on the port that it had. */
  async resume() {
    const command = this.kind === 'postgres'
      ? as('postgres', [`${postgresPrograms()}postgres`, '-D', this.data, '-p', `${this.port}`, '-k', this.folder,
        '-c', 'listen_addresses=127.0.0.1', '-c', 'fsync=off'])
      : as('mysql', ['mariadbd', '--no-defaults', `--datadir=${this.data}`, `--port=${this.port}`,
        '--bind-address=127.0.0.1', `--socket=${join(this.folder, 'socket')}`]);
    this.#child = spawn(command[0], command.slice(1), { stdio: 'ignore' });
    await until(`${this.kind} to listen`, () => accepts(this.port));
    await until(`${this.kind} to answer`, () => this.#answers());
  }

  #answers() {
    try {
      if (this.kind === 'postgres') this.sql('SELECT 1');
      else this.#root('SELECT 1');
      return true;
    } catch {
      return false;
    }
  }

  #root(statement) {
    return run(['mariadb', '--no-defaults', '-u', 'root', `--socket=${join(this.folder, 'socket')}`, '-e', statement]);
  }

  /** Runs a statement as an administrator would. */
  sql(statement) {
    if (this.kind === 'sqlite') return run(['sqlite3', join(this.folder, 'apps.db'), statement]);
    if (this.kind === 'postgres') return run(['psql', '-q', '-v', 'ON_ERROR_STOP=1', this.url, '-c', statement]);
    return run(['mariadb', '--no-defaults', '-u', 'root', `--socket=${join(this.folder, 'socket')}`, 'main', '-e', statement]);
  }

  /** The name of a column that is a word of SQL. */
  quoted(name) {
    return this.kind === 'mysql' ? `\`${name}\`` : `"${name}"`;
  }

  async stop() {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM'); // runuser passes it on
    await gone;
  }

  async close() {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function run([command, ...args]) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
