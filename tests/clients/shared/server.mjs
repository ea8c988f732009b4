// Starts and stops the real program on a free loopback port, and keeps what it prints.
//
// The program is $TIDINGS_BIN, or what cargo builds in this repository. Only the process that was
// started here is ever signalled, by its handle.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const REPOSITORY = fileURLToPath(new URL('../../..', import.meta.url));

/** The application that `tidings serve` has when it is given no configuration. */
export const DEVELOPMENT_APP = Object.freeze({ id: 'app-id', key: 'app-key', secret: 'app-secret' });

/** How long a start or a stop may take before the test fails; it bounds a failure, it measures nothing. */
const PATIENCE_MS = 20_000;

let built;

/** The path of the program under test. */
export function programPath() {
  if (process.env.TIDINGS_BIN) return process.env.TIDINGS_BIN;
  built ??= build();
  return built;
}

function build() {
  const args = ['build', '--package', 'tidings', '--message-format', 'json-render-diagnostics'];
  const run = spawnSync('cargo', args, {
    cwd: REPOSITORY,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (run.status !== 0) throw new Error('cargo could not build the program: set TIDINGS_BIN or repair the build');
  const artifacts = run.stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  const program = artifacts.find((item) => item.executable && item.target.name === 'tidings');
  if (!program) throw new Error('cargo built no program called tidings');
  return program.executable;
}

/** A loopback port that nobody listens on at this moment. */
export async function freePort() {
  const probe = createServer();
  await new Promise((resolve, reject) => probe.once('error', reject).listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** One running `tidings serve`; it can be stopped and started again on the same port. */
export class Server {
  #args;
  #child;
  #exited;
  #folder;
  #through;
  #env;
  log = '';

  constructor(port, args, folder, { host = '127.0.0.1', through = [], env = {} } = {}) {
    this.port = port;
    this.host = host;
    this.#args = args;
    this.#folder = folder;
    this.#through = through;
    this.#env = env;
  }

  /**
   * Starts the program. `config` is the text of a TOML file; without it the development app is served. `host` is
   * where it listens, `through` a command that runs it (as `ip netns exec NAME`), `env` what its environment has more.
   */
  static async start({ config, args = [], ...place } = {}) {
    let folder;
    const all = [...args];
    if (config !== undefined) {
      folder = mkdtempSync(join(tmpdir(), 'tidings-config-'));
      writeFileSync(join(folder, 'tidings.toml'), config);
      all.push('--config', join(folder, 'tidings.toml'));
    }
    for (let attempt = 1; ; attempt += 1) {
      const server = new Server(await freePort(), all, folder, place);
      try {
        await server.resume();
        return server;
      } catch (error) {
        // Somebody else may have taken the port between the question and the start.
        if (attempt === 3 || !/in use/i.test(server.log)) throw error;
      }
    }
  }

  get pid() {
    return this.#child?.pid;
  }

  get url() {
    return `http://${this.host}:${this.port}`;
  }

  get webSocketUrl() {
    return `ws://${this.host}:${this.port}`;
  }

  /** Starts the stopped program again on the port that it had. */
  async resume() {
    const args = ['serve', '--host', this.host, '--port', String(this.port), ...this.#args];
    const [command, ...rest] = [...this.#through, programPath(), ...args];
    const env = { ...process.env, ...this.#env };
    const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'], env });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => { this.log += text; });
    }
    let gone;
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => resolve((gone = String(error))));
      child.once('exit', (code, signal) => resolve((gone = `exit code ${code}, signal ${signal}`)));
    });
    const deadline = Date.now() + PATIENCE_MS;
    while (!gone && Date.now() < deadline) {
      if (await accepts(this.port, this.host) && !gone) return;
      await sleep(20);
    }
    child.kill('SIGKILL');
    throw new Error(`tidings did not start to listen on ${this.port} (${gone ?? 'still running'}):\n${this.log}`);
  }

  /** Writes another configuration, lets the running program read it, and resolves with what it logs about that. */
  async reload(config) {
    const before = this.log.length;
    writeFileSync(join(this.#folder, 'tidings.toml'), config);
    this.#child.kill('SIGHUP');
    const deadline = Date.now() + PATIENCE_MS;
    while (Date.now() < deadline) {
      const told = this.log.slice(before);
      if (/configuration (is not )?read again.*\n/.test(told)) return told;
      await sleep(10);
    }
    throw new Error(`the configuration was not read again:\n${this.log}`);
  }

  /** Asks the program to end (or kills it) and waits until it is gone. */
  async stop(signal = 'SIGTERM') {
    const child = this.#child;
    if (!child) return;
    this.#child = undefined;
    child.kill(signal);
    const late = new AbortController();
    const outcome = await Promise.race([
      this.#exited,
      sleep(PATIENCE_MS, 'late', { signal: late.signal }).catch(() => 'ended'),
    ]);
    late.abort();
    if (outcome === 'late') {
      child.kill('SIGKILL');
      throw new Error(`tidings did not end within ${PATIENCE_MS} ms of ${signal}:\n${this.log}`);
    }
  }

  /** Stops the program for good and removes its configuration. */
  async close() {
    await this.stop();
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
  }
}

function accepts(port, host) {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}
