// The other forms of Redis: a cluster, and a master that sentinels watch.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { freePort } from '../../shared/server.mjs';
import { record, until } from '../../shared/wait.mjs';
import { Cluster, unique } from './bus.mjs';

const folder = mkdtempSync(join(tmpdir(), 'tidings-redis-'));
const children = new Set();
after(() => {
  children.forEach((child) => child.kill('SIGKILL'));
  rmSync(folder, { recursive: true, force: true });
});

const cli = (port, ...args) => spawnSync('redis-cli', ['-p', `${port}`, ...args], { encoding: 'utf8' }).stdout;

/** Starts a server with a configuration, given by lines, and waits until it answers. */
async function redis(port, lines, ...args) {
  const home = mkdtempSync(join(folder, 'redis-'));
  const file = join(home, 'redis.conf');
  writeFileSync(file, ['bind 127.0.0.1', `port ${port}`, `dir ${home}`, 'save ""', ...lines, ''].join('\n'));
  const child = spawn('redis-server', [file, ...args], { stdio: 'ignore' });
  children.add(child);
  await until(`redis-server on ${port}`, () => cli(port, 'ping').includes('PONG'));
  return child;
}

async function togetherOver(url) {
  const cluster = await Cluster.open({ url }, 2);
  await cluster.together();
  return cluster;
}

describe('a Redis cluster', () => {
  it('connects servers by any of its nodes', async () => {
    const ports = [await freePort(), await freePort(), await freePort()];
    for (const port of ports) {
      // The port of the cluster's own bus is elsewhere than 10,000 higher, which may be no port.
      await redis(port, ['cluster-enabled yes', `cluster-port ${await freePort()}`]);
    }
    cli(ports[0], '--cluster', 'create', ...ports.map((port) => `127.0.0.1:${port}`), '--cluster-yes');
    await until('the cluster', () => ports.every((port) => cli(port, 'cluster', 'info').includes('cluster_state:ok')));
    const dead = await freePort();
    const cluster = await togetherOver(`redis-cluster://127.0.0.1:${dead},${ports.slice(0, 2).map((port) => `127.0.0.1:${port}`)}`);
    await cluster.close();
  });
});

describe('a Redis that sentinels watch', () => {
  it('connects servers, and connects them again over the replica when the master dies', async () => {
    const [first, second, watch] = [await freePort(), await freePort(), await freePort()];
    const master = await redis(first, []);
    await redis(second, [`replicaof 127.0.0.1 ${first}`]);
    await until('the replica', () => cli(second, 'info', 'replication').includes('master_link_status:up'));
    await redis(watch, [
      `sentinel monitor main 127.0.0.1 ${first} 1`,
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 3000',
    ], '--sentinel');
    await until('the sentinel to know both', () => cli(watch, 'sentinel', 'replicas', 'main').includes(`${second}`));
    const cluster = await togetherOver(`redis-sentinel://127.0.0.1:${watch}/main`);
    const [a, b] = cluster.nodes;
    const name = unique();
    const { channel } = await cluster.subscriber(b, name);
    const heard = record(channel, 'news');
    master.kill('SIGKILL');
    await until('the replica to be master', () => cli(second, 'role').includes('master'));
    await cluster.together();
    await cluster.publish(a, name, 'news', 'over the new master');
    await until('the event', () => heard.length > 0);
    assert.deepEqual(heard, ['over the new master']);
    await cluster.close();
  });
});
