// The application's side of a channel service: the small HTTP server that every user of private and
// presence channels has to write. It signs with the official SDK, which is handed in.

import { createServer } from 'node:http';

/**
 * Starts an endpoint for channel authorisation and user authentication.
 *
 * Who the caller is comes from the form (`user`, and `info` as JSON): that stands for the session of
 * a real application. Paths: `/pusher/auth`, `/broadcasting/auth` (channels), `/pusher/user-auth`,
 * `/broadcasting/user-auth` (sign-in). Both kinds answer 403 for the user `mallory`.
 *
 * `extra(request, response, path)` may answer any other path and returns true when it did.
 */
export async function startAuth(pusher, extra = () => false) {
  const calls = [];
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://localhost').pathname;
    if (await extra(request, response, path)) return;
    const form = new URLSearchParams(await bodyOf(request));
    const call = { path, socketId: form.get('socket_id'), channel: form.get('channel_name'), user: form.get('user') };
    calls.push(call);
    const answer = authorise(pusher, call, form);
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(answer.body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return {
    calls,
    url: `http://127.0.0.1:${port}`,
    close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }),
  };
}

function authorise(pusher, call, form) {
  if (call.user === 'mallory') return { status: 403, body: '{"error":"not you"}' };
  const info = form.get('info') ? JSON.parse(form.get('info')) : { name: call.user };
  if (!call.path.endsWith('auth')) return { status: 404, body: '{"error":"no such page"}' };
  if (call.path.endsWith('/user-auth')) {
    return reply(pusher.authenticateUser(call.socketId, { id: call.user, user_info: info }));
  }
  const member = call.channel.startsWith('presence-') ? { user_id: call.user, user_info: info } : undefined;
  return reply(pusher.authorizeChannel(call.socketId, call.channel, member));
}

const reply = (value) => ({ status: 200, body: JSON.stringify(value) });

/** The whole body of a request, as text. */
export async function bodyOf(request) {
  let text = '';
  for await (const piece of request.setEncoding('utf8')) text += piece;
  return text;
}
