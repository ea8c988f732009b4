// A client and a publisher for the server on the port given: an event comes through, and an end of the server is told.
// Says `received` when the event has come, and ends well when a socket that stays is closed with 4200 after that.

import PublisherSdk from 'pusher';
import Pusher from 'pusher-js';
import WebSocket from 'ws';
import { next } from '../shared/wait.mjs';

const [port, id, key, secret] = process.argv.slice(2);
const publisher = new PublisherSdk({ appId: id, key, secret, host: '127.0.0.1', port, useTLS: false });
const client = new Pusher(key, { cluster: '', wsHost: '127.0.0.1', wsPort: port, forceTLS: false, enabledTransports: ['ws'] });
const channel = client.subscribe('orders');
await next(channel, 'pusher:subscription_succeeded');
const event = next(channel, 'new');
await publisher.trigger('orders', 'new', { id: 7 });
const received = await event;
if (received.id !== 7) throw new Error(`another event came: ${JSON.stringify(received)}`);
client.disconnect();

const socket = new WebSocket(`ws://127.0.0.1:${port}/app/${key}?protocol=7`);
socket.once('message', () => console.log('received'));
socket.once('close', (code) => {
  console.log(`closed with ${code}`);
  process.exit(code === 4200 ? 0 : 1);
});
