// The official SDKs over TLS that the program speaks itself.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { DEVELOPMENT_APP, Server, freePort } from '../../shared/server.mjs';

const folder = mkdtempSync(join(tmpdir(), 'tidings-tls-'));
const [cert, key] = ['cert.pem', 'key.pem'].map((name) => join(folder, name));
let server;
let tlsPort;

before(async () => {
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert,
  ], { stdio: 'ignore' });
  tlsPort = await freePort();
  const args = ['--tls-port', String(tlsPort), '--tls-cert', cert, '--tls-key', key];
  server = await Server.start({ args });
});
after(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs the application and the client in a node that trusts what is in `trusted`. */
async function run(trusted) {
  const script = join(import.meta.dirname, 'tls-client.mjs');
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: trusted };
  const args = [script, JSON.stringify({ ...DEVELOPMENT_APP, port: tlsPort })];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env, timeout: 60_000 });
  return JSON.parse(stdout);
}

describe('TLS', () => {
  it('carries pusher-js with forceTLS, and the SDK with useTLS', async () => {
    assert.deepEqual(await run(cert), { status: 200, same: true, channels: { channels: { orders: {} } } });
  });

  it('is told with its address when the program starts', () => {
    assert.match(server.log, new RegExp(`wss://127\\.0\\.0\\.1:${tlsPort}/app/KEY`));
    assert.match(server.log, new RegExp(`ws://127\\.0\\.0\\.1:${server.port}/app/KEY`));
  });
});
