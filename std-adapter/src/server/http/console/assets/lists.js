// The tables: channels with members, connections, what was refused, webhooks.

import { act, ask } from './server.js';

export const byId = (id) => document.getElementById(id);

/** An element with text or other elements in it. Text is never taken for markup. */
export function make(name, properties, ...content) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...content);
  return made;
}

const cell = (label, content, className = '') => {
  const made = make('td', { className }, ...(content === '' ? [] : [content]));
  if (label) made.dataset.label = label;
  return made;
};

const number = (label, value) => cell(label, String(value), 'number');

export const clock = (ms) => new Date(ms).toLocaleTimeString(undefined, { hour12: false });

const PARTS = [[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];

/** A span of time in its two largest units. */
export function span(seconds) {
  const from = PARTS.findIndex(([unit]) => seconds >= unit);
  if (from < 0) return '0 s';
  let rest = seconds;
  const words = PARTS.slice(from, from + 2).map(([unit, name]) => {
    const count = Math.floor(rest / unit);
    rest %= unit;
    return count > 0 ? `${count} ${name}` : '';
  });
  return words.filter(Boolean).join(' ');
}

/** Puts rows in the place of those before, and says so when there are none. */
function fill(name, rows) {
  byId(`${name}-list`).replaceChildren(...rows);
  byId(`${name}-empty`).hidden = rows.length > 0;
}

const plural = (count, one, many) => `${count.toLocaleString()} ${count === 1 ? one : many}`;

let after = '';

/** Begins the list of channels anew. */
export function firstPage() {
  after = '';
}

/** Shows a page of the channels; gives how many there are in all. */
export async function showChannels(app) {
  const prefix = byId('channels-prefix').value.trim();
  const { total, channels } = await ask('channels', { app, prefix, after });
  fill('channels', channels.map((channel) => channelRow(app, channel)));
  const all = plural(total, 'channel', 'channels');
  byId('channels-total').textContent = channels.length < total ? `${channels.length} of ${all}` : all;
  const next = byId('channels-next');
  next.hidden = channels.length < 500;
  next.dataset.after = channels.at(-1)?.name ?? '';
  byId('channels-first').hidden = after === '';
  return prefix === '' ? total : undefined;
}

function channelRow(app, { name, subscriptions, users }) {
  let shown = name;
  if (users !== null) {
    shown = make('button', { type: 'button', className: 'link', title: 'Show the members' }, name);
    shown.addEventListener('click', () => { showMembers(app, name); });
  }
  return make('tr', {}, cell('', shown, 'name'), number('Subscriptions', subscriptions), number('Users', users ?? ''));
}

async function showMembers(app, channel) {
  const { total, members } = await ask('members', { app, channel });
  byId('members-title').textContent = channel;
  const all = plural(total, 'user', 'users');
  byId('members-total').textContent = members.length < total ? `The first ${members.length} of ${all}` : all;
  byId('members-list').replaceChildren(...members.map((id) => make('li', {}, id)));
  byId('members').hidden = false;
}

/** Sets up what can be done with the list of channels. */
export function prepareChannels(refresh) {
  byId('channels-prefix').addEventListener('input', () => { firstPage(); refresh(); });
  byId('channels-next').addEventListener('click', (event) => { after = event.target.dataset.after; refresh(); });
  byId('channels-first').addEventListener('click', () => { firstPage(); refresh(); });
}

/** Shows the newest connections. `may` tells whether they can be ended. */
export async function showConnections(app, may, refresh) {
  const { total, connections } = await ask('connections', { app });
  const rows = connections.map((connection) => make(
    'tr', {},
    cell('', connection.socket_id, 'name'),
    cell('User', connection.user_id ?? ''),
    number('Channels', connection.channels),
    number('Connected for', span(connection.seconds)),
    cell('', may && connection.user_id !== null ? ender(app, connection.user_id, refresh) : ''),
  ));
  fill('connections', rows);
  const all = plural(total, 'connection', 'connections');
  byId('connections-total').textContent = rows.length < total ? `The newest ${rows.length} of ${all}` : all;
}

function ender(app, user, refresh) {
  const button = make('button', { type: 'button', title: `Close every connection that is signed in as ${user}` }, 'End user');
  button.addEventListener('click', async () => {
    if (!window.confirm(`Close every connection that is signed in as ${user}?`)) return;
    button.disabled = true;
    await act('terminate', { app }, { user_id: user });
    await refresh();
  });
  return button;
}

const KINDS = {
  client_event: 'client event',
  http: 'request',
  message: 'message',
  protocol: 'protocol',
  sign_in: 'sign-in',
  slow_consumer: 'slow client',
  socket: 'connection',
  subscription: 'subscription',
  unproven: 'not signed in',
};

/** Shows what was refused. */
export async function showRefused(app) {
  const { refusals } = await ask('refusals', { app });
  const rows = refusals.map((refusal) => {
    const about = refusal.channel ?? refusal.path;
    const reason = make('td', {}, refusal.text);
    if (about) reason.prepend(make('span', { className: 'about' }, about), ' ');
    if (refusal.request_id) reason.append(' ', make('span', { className: 'aside' }, `request ${refusal.request_id}`));
    return make(
      'tr', {},
      cell('', clock(refusal.at_ms), 'time'),
      cell('', KINDS[refusal.kind] ?? refusal.kind, 'kind'),
      number('Code', refusal.code || ''),
      reason,
    );
  });
  fill('refused', rows);
}

/** Shows what became of the events for webhooks. */
export async function showWebhooks(app) {
  const rows = (await ask('webhooks', { app })).map((webhook) => make(
    'tr', {},
    cell('', webhook.url, 'name'),
    number('Taken', webhook.delivered),
    number('Waiting', webhook.waiting),
    number('Failed attempts', webhook.failed_attempts),
    number('Dropped, full', webhook.dropped_full),
    number('Dropped, late', webhook.dropped_late),
  ));
  fill('webhooks', rows);
}
