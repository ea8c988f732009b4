// Redis and NATS as Debian has them, on loopback; and several servers that they connect.

import { spawn } from 'node:child_process';
import http from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import PublisherSdk from 'pusher';
import Pusher from 'pusher-js';
import { freePort, Server } from '../../shared/server.mjs';
import { next, record, until } from '../../shared/wait.mjs';

/** The app of every test here. */
export const APP = Object.freeze({ id: 'many', key: 'many-key', secret: 'many-secret' });

/** Seconds after which a silent server is forgotten: long enough for a busy machine, short enough for a test. */
export const LEASE = 3;

let serial = 0;

/** A name that no other test uses. */
export function unique(prefix = '') {
  serial += 1;
  return `${prefix}room-${process.pid}-${serial}`;
}

/** A Redis or NATS server of our own, which can be stopped and started again. */
export class Bus {
  #child;

  constructor(kind, host) {
    this.kind = kind;
    this.host = host;
    this.folder = mkdtempSync(join(tmpdir(), 'tidings-bus-'));
  }

  static async start(kind, host = '127.0.0.1') {
    const bus = new Bus(kind, host);
    bus.port = await freePort();
    await bus.resume();
    return bus;
  }

  get url() {
    return `${this.kind}://${this.host}:${this.port}`;
  }

  async resume() {
    const [command, args] = this.kind === 'redis'
      ? ['redis-server', ['--bind', this.host, '--port', `${this.port}`, '--save', '', '--appendonly', 'no',
        '--protected-mode', 'no', '--dir', this.folder]]
      : ['nats-server', ['-a', this.host, '-p', `${this.port}`]];
    this.#child = spawn(command, args, { stdio: 'ignore' });
    await until(`${command} to listen`, () => accepts(this.host, this.port));
  }

  async stop() {
    const child = this.#child;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  async close() {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function accepts(host, port) {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}

/** An endpoint that takes webhooks which the official SDK finds genuine, and lists them as `name channel user`. */
class Endpoint {
  told = [];
  isAway = false;

  static async open(publisher) {
    const endpoint = new Endpoint();
    endpoint.server = http.createServer(async (request, response) => {
      let rawBody = '';
      for await (const piece of request.setEncoding('utf8')) rawBody += piece;
      const webhook = publisher.webhook({ headers: request.headers, rawBody });
      if (endpoint.isAway) return response.writeHead(503).end();
      const events = webhook.isValid() ? webhook.getEvents() : [{ name: 'not genuine' }];
      endpoint.told.push(...events.map(({ name, channel, user_id: user }) => [name, channel, user].filter(Boolean).join(' ')));
      return response.writeHead(200).end();
    });
    await new Promise((resolve) => endpoint.server.listen(0, '127.0.0.1', resolve));
    endpoint.url = `http://127.0.0.1:${endpoint.server.address().port}/`;
    return endpoint;
  }

  /** What was told about a channel, in order. */
  about(channel) {
    return this.told.filter((text) => text.split(' ')[1] === channel);
  }

  close() {
    return new Promise((resolve) => { this.server.closeAllConnections(); this.server.close(resolve); });
  }
}

/** Several servers that act as one. */
export class Cluster {
  nodes = [];
  #clients = [];

  static async open(bus, count = 3, options = {}) {
    const cluster = new Cluster();
    cluster.bus = bus;
    cluster.options = options;
    cluster.endpoint = await Endpoint.open(cluster.sdk(0));
    for (let index = 0; index < count; index += 1) await cluster.add();
    return cluster;
  }

  /** Starts one more server. `place` is where and how, as for `Server.start`. */
  async add(place = {}) {
    const node = await Server.start({
      args: ['--backplane', this.bus.url, '--backplane-lease', `${LEASE}`, ...(this.options.args ?? [])],
      config: `
        webhook_delay = "${this.options.delay ?? '300ms'}"
        [[apps]]
        id = "${APP.id}"
        key = "${APP.key}"
        secret = "${APP.secret}"
        client_events = true
        watchlists = true
        history_events = 100
        [[apps.webhooks]]
        url = "${this.endpoint.url}"
      `,
      ...place,
    });
    this.nodes.push(node);
    return node;
  }

  /** Waits until each server knows the others: what one publishes reaches all. */
  async together(nodes = this.nodes) {
    const name = unique('together-');
    const here = await Promise.all(nodes.map((_, at) => this.subscriber(nodes[at], name)));
    const heard = here.map(({ channel }) => record(channel, 'hello'));
    await until('the servers to find each other', async () => {
      for (const node of nodes) await this.publish(node, name, 'hello', node.port);
      await sleep(50);
      return heard.every((ports) => new Set(ports).size === nodes.length);
    });
    await until('the counts', async () => {
      const counts = await Promise.all(nodes.map((node) => this.ask(node, `/channels/${name}`, { info: 'subscription_count' })));
      return counts.every((count) => count.subscription_count === nodes.length);
    });
    here.forEach(({ client }) => client.disconnect());
  }

  /** The official SDK for a server, or for none. */
  sdk(node) {
    return new PublisherSdk({
      appId: APP.id, key: APP.key, secret: APP.secret, useTLS: false, host: node?.host ?? '127.0.0.1', port: `${node?.port ?? 1}`,
    });
  }

  async publish(node, channels, event, data, params) {
    return this.sdk(node).trigger(channels, event, data, params);
  }

  async ask(node, path, params) {
    return (await this.sdk(node).get({ path, params })).json();
  }

  /** A pusher-js client of a server that is connected. */
  async connected(node, { user = 'somebody', watchlist } = {}) {
    const sdk = this.sdk(node);
    const client = new Pusher(APP.key, {
      cluster: '', wsHost: node.host, wsPort: node.port, forceTLS: false, enabledTransports: ['ws'],
      channelAuthorization: {
        customHandler: ({ socketId, channelName }, callback) => {
          const member = channelName.startsWith('presence-') ? { user_id: user, user_info: { name: user } } : undefined;
          callback(null, sdk.authorizeChannel(socketId, channelName, member));
        },
      },
      userAuthentication: {
        customHandler: ({ socketId }, callback) => callback(null, sdk.authenticateUser(socketId, { id: user, watchlist })),
      },
    });
    this.#clients.push(client);
    await next(client.connection, 'connected');
    return client;
  }

  /** A client of a server that is subscribed to a channel. */
  async subscriber(node, name, options) {
    const client = await this.connected(node, options);
    const channel = client.subscribe(name);
    await next(channel, 'pusher:subscription_succeeded');
    return { client, channel };
  }

  async close() {
    this.#clients.forEach((client) => client.disconnect());
    await Promise.all(this.nodes.map((node) => node.close()));
    await this.endpoint.close();
  }
}
