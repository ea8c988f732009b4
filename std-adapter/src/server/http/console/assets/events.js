// The events as they happen: kept within bounds, filtered, pausable.

import { byId, clock, make } from './lists.js';

/** How many are kept and shown. */
const KEPT = 300;

const FACTS = {
  cache_missed: 'cache missed',
  channel_occupied: 'channel occupied',
  channel_vacated: 'channel vacated',
  connected: 'connected',
  disconnected: 'disconnected',
  member_added: 'member added',
  member_removed: 'member removed',
  subscription_count: 'subscription count',
};

/** JSON with line breaks; other text as it is. */
function pretty({ data, cut }) {
  if (cut) return `${data}…`;
  try {
    return JSON.stringify(JSON.parse(data), null, 2);
  } catch {
    return data;
  }
}

function row(entry) {
  const time = make('time', { dateTime: new Date(entry.at_ms).toISOString() }, clock(entry.at_ms));
  const channel = make('span', { className: 'channel' }, entry.channel ?? '');
  if (entry.what) {
    const about = entry.socket_id ?? entry.user_id ?? (entry.count === null ? '' : String(entry.count));
    const event = make('span', { className: 'event' }, FACTS[entry.what] ?? entry.what);
    return make('li', { className: 'fact' }, time, channel, event, make('span', { className: 'event' }, about));
  }
  const event = make('span', { className: 'event' }, entry.event);
  if (entry.from_client) event.append(make('span', { className: 'tag' }, entry.user_id ? `client ${entry.user_id}` : 'client'));
  if (entry.except && !entry.from_client) event.append(make('span', { className: 'tag' }, `without ${entry.except}`));
  const details = make('details', {}, make('summary', {}, entry.cut ? `${entry.data}…` : entry.data));
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) details.append(make('pre', {}, pretty(entry)));
  });
  return make('li', {}, time, channel, event, details);
}

export class Events {
  #entries = [];
  #paused = false;
  #waiting = 0;
  #lost = 0;
  #due = false;

  constructor() {
    byId('events-filter').addEventListener('input', () => this.#draw());
    byId('events-facts').addEventListener('change', () => this.#draw());
    byId('events-clear').addEventListener('click', () => this.clear());
    const pause = byId('events-pause');
    pause.addEventListener('click', () => {
      this.#paused = !this.#paused;
      this.#waiting = 0;
      pause.setAttribute('aria-pressed', String(this.#paused));
      pause.textContent = this.#paused ? 'Go on' : 'Pause';
      this.#draw();
    });
  }

  /** Takes what was told; while it is paused it is kept, and shown later. */
  add(entry) {
    this.#entries.push(entry);
    if (this.#entries.length > KEPT) this.#entries.shift();
    if (this.#paused) this.#waiting += 1;
    // Many can come at once, and the page is drawn once for all of them.
    if (this.#due) return;
    this.#due = true;
    requestAnimationFrame(() => {
      this.#due = false;
      if (this.#paused) this.#say();
      else this.#draw();
    });
  }

  /** Notes that so many were not told, because there were too many. */
  lose(count) {
    this.#lost += count;
    this.#say();
  }

  clear() {
    this.#entries = [];
    this.#lost = 0;
    this.#waiting = 0;
    this.#draw();
  }

  #say() {
    const parts = [];
    if (this.#paused) parts.push(`paused, ${this.#waiting} new`);
    if (this.#lost > 0) parts.push(`${this.#lost.toLocaleString()} not shown, as there were too many`);
    byId('events-lost').textContent = parts.join('; ');
  }

  #draw() {
    const wanted = byId('events-filter').value.trim().toLowerCase();
    const facts = byId('events-facts').checked;
    const fits = (entry) => {
      if (entry.what && !facts) return false;
      const texts = [entry.channel, entry.event, entry.data, entry.what && FACTS[entry.what], entry.user_id, entry.socket_id];
      return wanted === '' || texts.some((text) => text?.toLowerCase().includes(wanted));
    };
    const list = byId('events-list');
    const open = new Map([...list.children].filter((item) => item.querySelector('details[open]')).map((item) => [item.entry, item]));
    const shown = this.#entries.filter(fits).reverse();
    list.replaceChildren(...shown.map((entry) => open.get(entry) ?? Object.assign(row(entry), { entry })));
    byId('events-empty').hidden = shown.length > 0;
    this.#say();
  }
}
