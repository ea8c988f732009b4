// Waiting for something to happen, with a bound that only matters when a test fails.

import { setTimeout as sleep } from 'node:timers/promises';

const PATIENCE_MS = 60_000;

/** Resolves with the first truthy value of `check`; fails with `what` when it never comes. */
export async function until(what, check, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`waited ${patience} ms in vain for: ${what}`);
    await sleep(10);
  }
}

/**
 * Resolves with the next `event` of a pusher-js emitter (a channel, a connection, a user) for which
 * `accept` holds.
 */
export function next(emitter, event, accept = () => true, patience = PATIENCE_MS) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      emitter.unbind(event, listener);
      reject(new Error(`waited ${patience} ms in vain for the event ${event}`));
    }, patience);
    function listener(data) {
      if (!accept(data)) return;
      clearTimeout(timer);
      emitter.unbind(event, listener);
      resolve(data);
    }
    emitter.bind(event, listener);
  });
}

/** Every `event` of a pusher-js emitter from now on, in the order of arrival. */
export function record(emitter, event) {
  const seen = [];
  emitter.bind(event, (data) => seen.push(data));
  return seen;
}
