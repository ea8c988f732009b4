import Pusher from 'pusher';
import { MESSAGE, ROOM, type Connection, type Message } from './channels';

/** The environment is read when it is needed, so that one build runs in every environment. */
function env(name: string, otherwise?: string): string {
  const value = process.env[name] ?? otherwise;
  if (value === undefined) throw new Error(`${name} is not set: see .env.example`);
  return value;
}

let shared: Pusher | undefined;

/** The publisher: one for all requests of this process. */
export function pusher(): Pusher {
  shared ??= new Pusher({
    appId: env('PUSHER_APP_ID'),
    key: env('PUSHER_KEY'),
    secret: env('PUSHER_SECRET'),
    host: env('PUSHER_HOST'),
    port: env('PUSHER_PORT'),
    useTLS: env('PUSHER_TLS', 'false') === 'true',
  });
  return shared;
}

/** Where browsers connect. */
export function connectionForBrowsers(): Connection {
  return {
    key: env('PUSHER_KEY'),
    host: env('PUSHER_PUBLIC_HOST', env('PUSHER_HOST')),
    port: Number(env('PUSHER_PUBLIC_PORT', env('PUSHER_PORT'))),
    tls: env('PUSHER_PUBLIC_TLS', env('PUSHER_TLS', 'false')) === 'true',
  };
}

/** Publishes a message to everybody in the room. */
export async function publish(message: Message): Promise<void> {
  await pusher().trigger(ROOM, MESSAGE, message);
}
