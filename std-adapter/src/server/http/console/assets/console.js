// The page: which app and which list is shown, and when it is asked for again.

import { Chart, short } from './chart.js';
import { Events } from './events.js';
import { byId, firstPage, make, prepareChannels, showChannels, showConnections, showRefused, showWebhooks } from './lists.js';
import { prepareFaults, prepareSending } from './send.js';
import { ask, follow } from './server.js';

/** Milliseconds between two looks at the list that is shown, and at the rest. */
const LIST_MS = 3000;
const REST_MS = 10_000;

const tabs = [...document.querySelectorAll('[role="tab"]')];
const charts = {
  messages: new Chart(byId('chart-messages'), ['sent', 'published']),
  connections: new Chart(byId('chart-connections'), ['connections']),
};
const events = new Events();

let overview;
let app;
let tab = 'events';
let unfollow = () => {};
let last;

/** Shows what went wrong until something goes right. */
async function trying(work) {
  try {
    await work();
    byId('notice').hidden = true;
  } catch (error) {
    byId('notice').textContent = error.message;
    byId('notice').hidden = false;
  }
}

/** The state of the page in its address, so that a reload shows the same. */
function remember() {
  history.replaceState(null, '', `#${new URLSearchParams({ app, tab })}`);
}

const LISTS = {
  channels: async () => {
    const total = await showChannels(app);
    if (total !== undefined) byId('now-channels').textContent = short(total);
  },
  connections: () => showConnections(app, !overview.read_only, refresh),
  refused: () => showRefused(app),
  server: async () => { await showOverview(); await showWebhooks(app); },
};

/** Asks again for what is shown. */
const refresh = () => trying(async () => { await LISTS[tab]?.(); });

function select(name, focus = false) {
  tab = name;
  for (const button of tabs) {
    const selected = button.id === `tab-${name}`;
    button.setAttribute('aria-selected', String(selected));
    button.tabIndex = selected ? 0 : -1;
    byId(button.getAttribute('aria-controls')).hidden = !selected;
    if (selected && focus) button.focus();
  }
  remember();
  refresh();
}

for (const [at, button] of tabs.entries()) {
  button.addEventListener('click', () => select(button.id.slice('tab-'.length)));
  button.addEventListener('keydown', (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    select(tabs.at(to % tabs.length).id.slice('tab-'.length), true);
  });
}

/** How the app stands at a moment; numbers that only rise become what came in a second. */
function sample(now) {
  const point = { at: now.at_ms, connections: now.connections };
  if (last && now.at_ms > last.at_ms) {
    const rate = (name) => Math.max(0, ((now[name] - last[name]) * 1000) / (now.at_ms - last.at_ms));
    for (const name of ['published', 'sent']) {
      point[name] = rate(name);
      byId(`now-${name}`).textContent = short(Math.round(point[name] * 10) / 10);
    }
  }
  last = now;
  byId('now-connections').textContent = short(now.connections);
  byId('now-refused').textContent = short(now.refused);
  for (const chart of Object.values(charts)) chart.add(point);
}

function state(name) {
  byId('state').dataset.state = name;
  byId('state').textContent = { live: 'live', lost: 'not connected' }[name];
}

/** Shows another app from now on. */
function choose(id) {
  app = id;
  last = undefined;
  unfollow();
  events.clear();
  for (const chart of Object.values(charts)) chart.clear();
  firstPage();
  byId('members').hidden = true;
  byId('now-channels').textContent = '–';
  unfollow = follow(app, {
    event: (entry) => events.add(entry),
    fact: (entry) => events.add(entry),
    lost: ({ count }) => events.lose(count),
    sample,
  }, state);
  remember();
  trying(LISTS.channels);
  refresh();
}

async function showOverview() {
  overview = await ask('overview');
  const { backplane, dev, draining, total, version } = overview;
  const facts = [['Version', version], ['Apps', String(total)]];
  if (dev) facts.push(['Mode', 'dev mode: any key is taken, and signatures of such apps are trusted']);
  if (overview.read_only) facts.push(['This console', 'only shows (console_read_only)']);
  if (draining) facts.push(['State', 'shutting down']);
  facts.push(['Backplane', backplane ? [
    backplane.degraded ? `not reached: ${backplane.degraded}` : 'reached',
    `${backplane.nodes} other ${backplane.nodes === 1 ? 'server' : 'servers'}`,
    `${backplane.dropped} batches of events given up`,
  ].join('; ') : 'none, this server is on its own']);
  const shown = overview.apps.find(({ id }) => id === app);
  if (shown) {
    facts.push(['App', `id ${shown.id}, key ${shown.key}${shown.enabled ? '' : ', disabled'}`]);
    facts.push(['Its connections', `${shown.connections}, ${shown.max_connections === null ? 'without a bound' : `of ${shown.max_connections} at most`}`]);
  }
  byId('server-facts').replaceChildren(...facts.flatMap(([name, value]) => [make('dt', {}, name), make('dd', {}, value)]));
  byId('version').textContent = `tidings ${version}${overview.read_only ? ', read-only' : ''}`;
  showApps();
}

/** The chooser, changed only where the apps have changed. */
function showApps() {
  const chooser = byId('app');
  const ids = overview.apps.map(({ id }) => id);
  if ([...chooser.options].map(({ value }) => value).join('\n') === ids.join('\n')) return;
  chooser.replaceChildren(...ids.map((id) => make('option', { value: id }, id)));
  if (app !== undefined) chooser.value = app;
}

async function begin() {
  const address = new URLSearchParams(location.hash.slice(1));
  await showOverview();
  if (overview.apps.length === 0) throw new Error('This server has no app.');
  prepareChannels(refresh);
  prepareSending(() => app);
  if (overview.read_only) byId('tab-send').hidden = true;
  if (overview.dev && !overview.read_only) {
    await prepareFaults(() => overview.apps.find(({ id }) => id === app)?.key);
  }
  byId('app').addEventListener('change', (event) => choose(event.target.value));
  const wanted = overview.apps.find(({ id }) => id === address.get('app')) ?? overview.apps[0];
  byId('app').value = wanted.id;
  const known = tabs.some((button) => button.id === `tab-${address.get('tab')}` && !button.hidden);
  app = wanted.id;
  select(known ? address.get('tab') : 'events');
  choose(wanted.id);
  setInterval(() => { if (!document.hidden) refresh(); }, LIST_MS);
  setInterval(() => { if (!document.hidden) trying(showOverview).then(() => tab !== 'channels' && trying(LISTS.channels)); }, REST_MS);
}

trying(begin);
