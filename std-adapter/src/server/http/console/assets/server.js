// Questions to the server, and the stream of what happens in it.

const API = new URL('console/api/', document.baseURI);

/** An answer that is no success; its message says what to do. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const address = (name, parameters) => {
  const url = new URL(name, API);
  for (const [key, value] of Object.entries(parameters)) url.searchParams.set(key, value);
  return url;
};

async function answer(response) {
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Refused(response.status, text.trim() || `The server answered with the status ${response.status}.`);
  }
  if (!response.ok) throw new Refused(response.status, body.error ?? text);
  return body;
}

async function request(url, options) {
  let response;
  try {
    response = await fetch(url, { cache: 'no-store', credentials: 'same-origin', ...options });
  } catch {
    throw new Refused(0, 'The server does not answer.');
  }
  return answer(response);
}

/** Asks for a part of what there is. */
export const ask = (name, parameters = {}) => request(address(name, parameters));

/** Asks the server to do something. */
export const act = (name, parameters, body) => request(address(name, parameters), {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', 'X-Tidings-Console': '1' },
  body: JSON.stringify(body),
});

/**
 * Follows what happens in an app. `told` has a function for each kind of message; `state` hears `live` and `lost`.
 * The browser connects again by itself, unless the server refused. Gives a function that ends it.
 */
export function follow(app, told, state) {
  let source;
  let again;
  const open = () => {
    source = new EventSource(address('stream', { app }));
    source.onopen = () => state('live');
    source.onerror = () => {
      state('lost');
      if (source.readyState === EventSource.CLOSED) again = setTimeout(open, 3000);
    };
    for (const [name, take] of Object.entries(told)) {
      source.addEventListener(name, (message) => take(JSON.parse(message.data)));
    }
  };
  open();
  return () => {
    clearTimeout(again);
    source.close();
  };
}
