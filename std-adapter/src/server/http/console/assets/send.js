// What the console can do: send an event, and in dev mode let something go wrong.

import { byId } from './lists.js';
import { act, ask } from './server.js';

/** Why a text is no JSON, or nothing. */
function fault(text) {
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return `${error.message}. A text stands in double quotes.`;
  }
}

function say(id, text, good) {
  const place = byId(id);
  place.textContent = text;
  place.className = good ? 'good-text' : 'bad-text';
}

/** Sets up the form; `app` gives the id of the app that is shown. */
export function prepareSending(app) {
  const check = () => {
    const wrong = fault(byId('send-data').value);
    byId('send-check').textContent = wrong === '' ? 'This is JSON.' : wrong;
    byId('send-check').classList.toggle('bad-text', wrong !== '');
    return wrong === '';
  };
  byId('send-data').addEventListener('input', check);
  check();
  byId('send').addEventListener('submit', async (event) => {
    event.preventDefault();
    if (!check()) return byId('send-data').focus();
    const [channel, name] = [byId('send-channel').value.trim(), byId('send-event').value.trim()];
    const except = byId('send-except').value.trim();
    const body = { channel, name, data: byId('send-data').value, ...(except && { socket_id: except }) };
    try {
      await act('events', { app: app() }, body);
      say('send-result', `Sent to ${channel} at ${new Date().toLocaleTimeString(undefined, { hour12: false })}.`, true);
    } catch (error) {
      say('send-result', error.message, false);
    }
    return undefined;
  });
}

/** What is asked for, with the numbers of the form. */
function wish(kind, key) {
  const value = (id) => Number(byId(id).value);
  return {
    delay: () => ({ fault: 'delay', ms: value('fault-ms') }),
    drop: () => ({ fault: 'drop', count: value('fault-count') }),
    close: () => ({ fault: 'close', code: value('fault-code'), key }),
    none: () => ({ fault: 'none' }),
  }[kind]();
}

function showFaults(now) {
  const parts = [];
  if (now.delay_ms > 0) parts.push(`each event is delayed by ${now.delay_ms} ms`);
  if (now.drop > 0) parts.push(`the next ${now.drop} events are lost`);
  if (now.rotated.length > 0) parts.push(`unknown keys: ${now.rotated.join(', ')}`);
  byId('faults-now').textContent = parts.length > 0 ? `Now ${parts.join('; ')}.` : 'Nothing goes wrong on purpose.';
}

/** Sets up the faults of dev mode; `key` gives the key of the app that is shown. */
export async function prepareFaults(key) {
  byId('faults').hidden = false;
  for (const button of document.querySelectorAll('[data-fault]')) {
    button.addEventListener('click', async () => {
      try {
        showFaults(await act('faults', {}, wish(button.dataset.fault, key())));
      } catch (error) {
        byId('faults-now').textContent = error.message;
      }
    });
  }
  showFaults(await ask('faults'));
}
