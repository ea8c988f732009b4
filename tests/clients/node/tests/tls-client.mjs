// An application and a client that trust an authority by NODE_EXTRA_CA_CERTS, which node reads when it starts: so they
// are a process of their own. What they have seen is printed as JSON.

import PublisherSdk from 'pusher';
import Pusher from 'pusher-js';
import { next } from '../../shared/wait.mjs';
import { subscribed } from './world.mjs';

const { id, key, secret, port } = JSON.parse(process.argv[2]);
const publisher = new PublisherSdk({ appId: id, key, secret, host: 'localhost', port: String(port), useTLS: true });
const client = new Pusher(key, {
  cluster: '',
  wsHost: 'localhost',
  wssPort: port,
  forceTLS: true,
  enabledTransports: ['ws', 'wss'],
});
const channel = await subscribed(client, 'orders');
const heard = next(channel, 'new');
const data = { text: 'Zoë 🎈', long: 'x'.repeat(9_000) };
const answer = await publisher.trigger('orders', 'new', data);
const same = JSON.stringify(await heard) === JSON.stringify(data);
const channels = await (await publisher.get({ path: '/channels' })).json();
client.disconnect();
process.stdout.write(JSON.stringify({ status: answer.status, same, channels }));
process.exit(0);
