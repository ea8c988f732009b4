// What every test file here works with: one server, one auth endpoint, one publisher, many clients.

import http from 'node:http';
import PublisherSdk from 'pusher';
import Pusher from 'pusher-js';
import nacl from 'tweetnacl';
import WebSocket from 'ws';
import { startAuth } from '../../shared/auth.mjs';
import { DEVELOPMENT_APP, Server } from '../../shared/server.mjs';
import { next, until } from '../../shared/wait.mjs';

/** Known to the application and to nobody else; 32 bytes. */
const ENCRYPTION_MASTER_KEY = Buffer.alloc(32, 7).toString('base64');

let serial = 0;

export class World {
  #clients = [];
  #sockets = [];

  /** Starts the program (see `Server.start` for the options) and what an application has around it. */
  static async open({ app = DEVELOPMENT_APP, ...options } = {}) {
    const world = new World();
    world.app = app;
    world.server = await Server.start(options);
    world.agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    world.publisher = world.publisherWith({});
    world.auth = await startAuth(world.publisher);
    return world;
  }

  /** The official publisher SDK, pointed at the server; `overrides` are its options. */
  publisherWith(overrides) {
    return new PublisherSdk({
      appId: this.app.id,
      key: this.app.key,
      secret: this.app.secret,
      host: '127.0.0.1',
      port: String(this.server.port),
      useTLS: false,
      agent: this.agent,
      encryptionMasterKeyBase64: ENCRYPTION_MASTER_KEY,
      ...overrides,
    });
  }

  /** The options that a person gives to pusher-js; `user` is who the auth endpoint takes them for. */
  clientOptions({ user = 'somebody', info, endpoint, ...overrides } = {}) {
    const params = { user, ...(info && { info: JSON.stringify(info) }) };
    return {
      cluster: '',
      wsHost: '127.0.0.1',
      wsPort: this.server.port,
      forceTLS: false,
      enabledTransports: ['ws'],
      nacl,
      channelAuthorization: { endpoint: endpoint ?? `${this.auth.url}/pusher/auth`, transport: 'ajax', params },
      userAuthentication: { endpoint: `${this.auth.url}/pusher/user-auth`, transport: 'ajax', params },
      ...overrides,
    };
  }

  /** A pusher-js client that may still be connecting. */
  client({ key = this.app.key, ...options } = {}) {
    const client = new Pusher(key, this.clientOptions(options));
    this.#clients.push(client);
    return client;
  }

  /** A pusher-js client that is connected. */
  async connected(options) {
    const client = this.client(options);
    await next(client.connection, 'connected');
    return client;
  }

  /** A pusher-js client that is connected and subscribed to `channel`. */
  async subscriber(channel, options) {
    const client = await this.connected(options);
    return { client, channel: await subscribed(client, channel) };
  }

  /** A bare WebSocket that shows frames as they are on the wire, connected and greeted. */
  async socket(query = '?protocol=7&client=test&version=1.0', path = `/app/${this.app.key}`) {
    const socket = this.rawSocket(query, path);
    const greeting = await socket.read();
    socket.id = JSON.parse(greeting.data).socket_id;
    return socket;
  }

  /** A bare WebSocket, not waited for. */
  rawSocket(query = '?protocol=7', path = `/app/${this.app.key}`) {
    const socket = new RawSocket(`${this.server.webSocketUrl}${path}${query}`);
    this.#sockets.push(socket);
    return socket;
  }

  /** A signed request whose body and parameters are as given, however wrong; `{ status, body, headers }`. */
  async request(method, subPath, { params = {}, body, app = this.app } = {}) {
    const path = `/apps/${app.id}${subPath}`;
    const sdk = this.publisherWith({ appId: app.id, key: app.key, secret: app.secret });
    const query = sdk.createSignedQueryString({ method, path, params, body });
    return this.send(method, `${path}?${query}`, body);
  }

  /** A request as given, signed or not. */
  async send(method, pathAndQuery, body) {
    const response = await fetch(`${this.server.url}${pathAndQuery}`, {
      method,
      body,
      headers: body === undefined ? {} : { 'content-type': 'application/json' },
    });
    return { status: response.status, body: await response.text(), headers: response.headers };
  }

  /** Publishes with the official SDK and gives the parsed answer. */
  async publish(channels, event, data, params) {
    const response = await this.publisher.trigger(channels, event, data, params);
    return response.json();
  }

  /** Asks the HTTP API with the official SDK and gives the parsed answer. */
  async ask(path, params) {
    const response = await this.publisher.get({ path, params });
    return response.json();
  }

  async close() {
    for (const client of this.#clients) client.disconnect();
    for (const socket of this.#sockets) socket.kill();
    this.agent.destroy();
    await this.auth.close();
    await this.server.close();
  }
}

/** A channel name that no other test uses. */
export function unique(prefix = '') {
  serial += 1;
  return `${prefix}room-${process.pid}-${serial}`;
}

/** Subscribes with pusher-js; resolves with the channel, or rejects with the error that it was told. */
export function subscribed(client, name) {
  const channel = client.subscribe(name);
  return new Promise((resolve, reject) => {
    channel.bind('pusher:subscription_succeeded', () => resolve(channel));
    channel.bind('pusher:subscription_error', (error) => {
      reject(Object.assign(new Error(`no subscription to ${name}`), { told: error }));
    });
  });
}

/** A WebSocket that keeps its frames in order; data of `pusher:` frames is left as it came. */
class RawSocket {
  #frames = [];
  #read = 0;

  constructor(url) {
    this.socket = new WebSocket(url);
    this.socket.on('message', (bytes) => this.#frames.push(JSON.parse(bytes.toString())));
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
      this.socket.on('error', (error) => resolve({ error }));
    });
  }

  /** The next frame. */
  read() {
    return until('the next frame', () => this.#frames[this.#read] && this.#frames[this.#read++]);
  }

  /** The next frame called `event`; those before it are skipped. */
  async readUntil(event) {
    for (;;) {
      const frame = await this.read();
      if (frame.event === event) return frame;
    }
  }

  /** All frames so far. */
  get frames() {
    return this.#frames;
  }

  send(event, fields = {}) {
    this.socket.send(JSON.stringify({ event, ...fields }));
  }

  sendText(text) {
    this.socket.send(text);
  }

  subscribe(channel, data = {}) {
    this.send('pusher:subscribe', { data: { channel, ...data } });
  }

  /** Everything that was sent to this socket before now has arrived once this resolves. */
  async fence() {
    this.send('pusher:ping', { data: {} });
    await this.readUntil('pusher:pong');
  }

  close() {
    this.socket.close(1000);
  }

  /** Ends the TCP connection without a closing handshake. */
  kill() {
    this.socket.terminate();
  }
}
