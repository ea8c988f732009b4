// Runs the firmware under QEMU against the real program, with the official client and SDK as witnesses.
//
//   node run.mjs FIRMWARE PROGRAM SCENARIO...
//
// Without a scenario it runs those that need no rights. `loss` and `tlsloss` expect a device tap0 with 10.0.2.2/24 that loses
// packets, `host` and `tlshost` one that does not, and for FIRMWARE the program for the host; all that begin with tls want
// it to be built with the feature `tls`.
import { execFileSync, spawn } from "node:child_process";
import { createHash, createPublicKey } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import tls from "node:tls";
import { createRequire } from "node:module";

const require = createRequire(path.join(process.cwd(), "tests/clients/node/package.json"));
const Pusher = require("pusher");
const PusherClient = require("pusher-js");

const APP = { id: "7", key: "device-key", secret: "a-secret-of-this-test-alone" };
const TELEMETRY = "private-telemetry";
const [firmware, program, ...wanted] = process.argv.slice(2);
const children = new Set();

function start(command, args, options = {}) {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  child.lines = [];
  child.waiting = [];
  let rest = "";
  const take = (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    for (const line of lines) child.lines.push(line);
    for (const wake of child.waiting.splice(0)) wake();
  };
  child.stdout.setEncoding("utf8").on("data", take);
  child.stderr.setEncoding("utf8").on("data", take);
  child.ended = once(child, "exit").then(() => {
    child.gone = true;
    children.delete(child);
    for (const wake of child.waiting.splice(0)) wake();
  });
  children.add(child);
  return child;
}

// Waits for the line number `from` or a later one that matches; the number of the line after it.
async function line(child, pattern, what, from = 0, seconds = 90) {
  const end = Date.now() + seconds * 1000;
  for (let at = from; ; ) {
    for (; at < child.lines.length; at += 1) if (pattern.test(child.lines[at])) return at + 1;
    if (child.gone || Date.now() > end) {
      throw new Error(`no ${what}; the last lines:\n${child.lines.slice(-15).join("\n")}`);
    }
    await Promise.race([
      new Promise((wake) => child.waiting.push(wake)),
      new Promise((wake) => setTimeout(wake, 1000)),
    ]);
  }
}

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

// A key, its certificate, and its pin by a way of its own.
function identity() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tidings-tls-"));
  const [keyFile, certFile] = ["key.pem", "cert.pem"].map((name) => path.join(folder, name));
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=a-server", "-keyout", keyFile, "-out", certFile,
  ], { stdio: "pipe" });
  const [key, cert] = [fs.readFileSync(keyFile), fs.readFileSync(certFile)];
  fs.rmSync(folder, { recursive: true });
  const info = createPublicKey(cert).export({ type: "spki", format: "der" });
  return { key, cert, pin: createHash("sha256").update(info).digest("hex") };
}

// TLS before the server, as an operator would put it there.
class Front {
  static async before(world, identity) {
    const front = new Front();
    front.sockets = new Set();
    front.server = tls.createServer({ ...identity, minVersion: "TLSv1.3" }, (socket) => {
      const plain = net.connect(world.port, world.host);
      socket.pipe(plain).pipe(socket);
      for (const end of [socket, plain]) {
        front.sockets.add(end);
        end.on("error", () => end.destroy());
        end.on("close", () => (socket.destroy(), plain.destroy(), front.sockets.delete(end)));
      }
    });
    front.server.on("tlsClientError", () => {});
    front.server.listen(0, world.host);
    await once(front.server, "listening");
    front.port = front.server.address().port;
    world.front = front;
    return front;
  }

  // From now on with another key, for those who come back.
  replace(identity) {
    this.server.setSecureContext(identity);
    for (const socket of this.sockets) socket.destroy();
  }
}

class World {
  constructor(host, port) {
    Object.assign(this, { host, port });
    this.sdk = new Pusher({
      appId: APP.id, key: APP.key, secret: APP.secret, host, port: String(port), useTLS: false,
    });
  }

  async serve() {
    this.server = start(program, [
      "serve", "--host", this.host, "--port", String(this.port), "--app-id", APP.id, "--app-key", APP.key,
      "--client-events", "true", "--history-events", "1000", "--max-client-events-per-second", "100000", "--activity-timeout", "3",
    ], { env: { ...process.env, TIDINGS_APP_SECRET: APP.secret } });
    const end = Date.now() + 20_000;
    for (;;) {
      const socket = net.connect(this.port, this.host);
      const open = await Promise.race([
        once(socket, "connect").then(() => true, () => false),
        this.server.ended.then(() => false),
      ]);
      socket.destroy();
      if (open) return;
      if (this.server.gone || Date.now() > end) throw new Error(`no server:\n${this.server.lines.join("\n")}`);
      await new Promise((wake) => setTimeout(wake, 50));
    }
  }

  // An official client that is subscribed and notes the readings.
  async witness() {
    this.readings = [];
    this.client = new PusherClient(APP.key, {
      cluster: "", wsHost: this.host, wsPort: this.port, forceTLS: false, enabledTransports: ["ws"],
      channelAuthorization: {
        customHandler: ({ socketId, channelName }, done) => done(null, this.sdk.authorizeChannel(socketId, channelName)),
      },
    });
    const channel = this.client.subscribe(TELEMETRY);
    channel.bind("client-reading", (reading) => {
      this.readings.push(reading.n);
      this.last = reading;
      this.heard?.();
    });
    await new Promise((done, fail) => {
      channel.bind("pusher:subscription_succeeded", done);
      channel.bind("pusher:subscription_error", fail);
    });
  }

  device(args, network) {
    this.monitor = path.join(os.tmpdir(), `tidings-qemu-${process.pid}.sock`);
    const port = this.front?.port ?? this.port;
    const words = ["fw", `host=${network.host}`, `port=${port}`, `key=${APP.key}`, `secret=${APP.secret}`, ...args];
    if (!network.options) {
      this.qemu = start(firmware, words.slice(1));
      return;
    }
    this.qemu = start("qemu-system-arm", [
      "-M", "mps2-an386", "-display", "none", "-serial", "none", "-monitor", `unix:${this.monitor},server,nowait`,
      "-semihosting-config", ["enable=on", "target=native", ...words.map((word) => `arg=${word}`)].join(","),
      ...network.options, "-kernel", firmware,
    ]);
  }

  async hearReadings(count, seconds = 120) {
    const end = Date.now() + seconds * 1000;
    while (this.readings.length < count) {
      if (this.qemu.gone || Date.now() > end) {
        throw new Error(`${this.readings.length} of ${count} readings came:\n${this.qemu.lines.slice(-15).join("\n")}`);
      }
      await Promise.race([new Promise((wake) => (this.heard = wake)), new Promise((wake) => setTimeout(wake, 1000))]);
    }
    this.readings.forEach((n, at) => {
      if (n !== at) throw new Error(`reading ${n} came when ${at} was due`);
    });
  }

  async command(count, seconds = 120) {
    await this.publishCommands(0, count);
    await this.obeyed(count, seconds);
  }

  async publishCommands(from, to) {
    for (let n = from; n < to; n += 10) {
      const batch = Array.from({ length: 10 }, (_, i) => ({
        channel: TELEMETRY, name: "led", data: { on: (n + i) % 2 === 0, n: n + i },
      }));
      await this.sdk.triggerBatch(batch);
    }
  }

  // Waits until the device has obeyed so many commands.
  async obeyed(count, seconds = 120) {
    await line(this.qemu, new RegExp(`^commands ${count}$`), `${count} commands`, 0, seconds);
    const wrong = this.qemu.lines.find((text) => text.includes("was due"));
    if (wrong) throw new Error(wrong);
  }

  // Waits until the device is connected and subscribed to both channels; the number of the line after.
  async standing(from = 0, seconds = 90) {
    const at = await line(this.qemu, /^connected /, "connection", from, seconds);
    await line(this.qemu, /^subscribed presence-devices members 1$/, "presence", at, seconds);
    return line(this.qemu, /^subscribed private-telemetry$/, "subscription", at, seconds);
  }

  async monitorCommand(text) {
    const socket = net.connect(this.monitor);
    await once(socket, "connect");
    socket.write(`${text}\n`);
    await new Promise((wake) => setTimeout(wake, 300));
    socket.destroy();
  }

  // How much of its stack the device has used, as it says itself.
  stack() {
    const sizes = this.qemu?.lines.map((text) => Number(/^stack (\d+)$/.exec(text)?.[1] ?? 0)) ?? [];
    return Math.max(0, ...sizes);
  }

  async unplug(child) {
    if (!child || child.gone) return;
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await child.ended;
  }

  async end() {
    this.client?.disconnect();
    this.front?.server.close();
    for (const child of [this.qemu, this.server]) await this.unplug(child);
  }
}

const SLIRP = { host: "10.0.2.2", options: ["-nic", "user,id=n0,model=lan9118"] };
const DELAY = { host: "10.0.2.2", options: [...SLIRP.options, "-object", "filter-buffer,id=f0,netdev=n0,interval=200000"] };
const TAP = { host: "10.0.2.2", options: ["-nic", "tap,id=n0,ifname=tap0,script=no,downscript=no,model=lan9118"] };
const HOST = { host: "10.0.2.2" };
const STATIC = ["address=10.0.2.15/24", "gateway=10.0.2.2"];

const scenarios = {
  // A thousand readings one way and a thousand commands the other.
  async order(world) {
    await world.witness();
    world.device(["readings=1000"], SLIRP);
    await world.standing();
    await world.hearReadings(1000);
    await world.command(1000);
  },
  // The server is killed and started again; then it falls silent and comes back.
  async server(world) {
    world.device(["pong-timeout=3"], SLIRP);
    let at = await world.standing();
    world.server.kill("SIGKILL");
    await world.server.ended;
    at = await line(world.qemu, /^ended /, "end", at);
    await world.serve();
    at = await world.standing(at);
    world.server.kill("SIGSTOP");
    at = await line(world.qemu, /^ended Closed\(ReconnectNow\)$/, "pong time-out", at);
    world.server.kill("SIGCONT");
    await world.standing(at);
    await world.witness();
    await world.hearOne();
  },
  // The cable is taken out and put in again; what was commanded meanwhile arrives then, in order and once.
  async cable(world) {
    world.device(["pong-timeout=3"], SLIRP);
    const at = await world.standing();
    await world.command(100);
    await world.monitorCommand("set_link n0 off");
    const after = await line(world.qemu, /^ended /, "end", at);
    await world.publishCommands(100, 300);
    await world.monitorCommand("set_link n0 on");
    await world.standing(after, 120);
    await world.obeyed(300);
    await line(world.qemu, /^resumed private-telemetry complete with 200$/, "answer to the resume", after);
  },
  // Everything takes 200 ms longer.
  async delay(world) {
    await world.witness();
    world.device(["readings=100"], DELAY);
    await world.standing();
    await world.hearReadings(100);
    await world.command(100);
  },
  // One packet in twenty is lost, each way.
  async loss(world) {
    await world.witness();
    world.device(["readings=300", ...STATIC], TAP);
    await world.standing();
    await world.hearReadings(300, 180);
    await world.command(300, 180);
  },
  // Over TLS: a wrong pin is refused and the right one shown; with it all is as without TLS; the key is replaced by
  // one that is pinned too, and by one that is not.
  async tls(world) {
    const [first, second, third] = [identity(), identity(), identity()];
    const front = await Front.before(world, first);
    world.device([`pin=${third.pin}`], SLIRP);
    const refused = (identity) => new RegExp(`^ended .*not pinned.* ${identity.pin}$`);
    let at = await line(world.qemu, refused(first), "refusal that shows the pin");
    await line(world.qemu, refused(first), "second attempt", at);
    const connected = world.qemu.lines.find((text) => text.startsWith("connected"));
    if (connected) throw new Error(`it accepts a server with another key: ${connected}`);
    await world.unplug(world.qemu);

    await world.witness();
    world.device([`pin=${first.pin}`, `pin=${second.pin}`, "readings=300", "pong-timeout=3"], SLIRP);
    at = await world.standing();
    await world.hearReadings(300);
    await world.command(300);
    front.replace(second);
    at = await line(world.qemu, /^ended /, "end", at);
    at = await world.standing(at);
    world.server.kill("SIGSTOP");
    at = await line(world.qemu, /^ended Closed\(ReconnectNow\)$/, "pong time-out", at);
    world.server.kill("SIGCONT");
    at = await world.standing(at);
    front.replace(third);
    await line(world.qemu, refused(third), "refusal of a key that is not pinned", at);
  },
  // Over TLS, one packet in twenty is lost, each way.
  async tlsloss(world) {
    const server = identity();
    await Front.before(world, server);
    await world.witness();
    world.device([`pin=${server.pin}`, "readings=200", ...STATIC], TAP);
    await world.standing();
    await world.hearReadings(200, 180);
    await world.command(200, 180);
  },
  // The same application as a program of the host.
  async host(world) {
    await world.witness();
    world.device(["readings=1000", ...STATIC], HOST);
    let at = await world.standing();
    await world.hearReadings(1000);
    await world.command(1000);
    world.server.kill("SIGKILL");
    await world.server.ended;
    at = await line(world.qemu, /^ended /, "end", at);
    await world.serve();
    await world.standing(at);
  },
  async tlshost(world) {
    const server = identity();
    await Front.before(world, server);
    await world.witness();
    world.device([`pin=${server.pin}`, "readings=1000", ...STATIC], HOST);
    await world.standing();
    await world.hearReadings(1000);
    await world.command(1000);
  },
};

World.prototype.hearOne = async function hearOne() {
  const before = this.readings.length;
  const end = Date.now() + 20_000;
  while (this.readings.length === before) {
    if (Date.now() > end) throw new Error("no reading comes");
    await new Promise((wake) => setTimeout(wake, 200));
  }
};

process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));
const names = wanted.length > 0 ? wanted : ["order", "server", "cable", "delay"];
let failed = 0;
for (const name of names) {
  const local = ["order", "server", "cable", "delay", "tls"].includes(name);
  const world = new World(local ? "127.0.0.1" : "10.0.2.2", await freePort());
  const began = Date.now();
  try {
    await world.serve();
    await scenarios[name](world);
    const stack = world.stack() > 0 ? `, ${world.stack()} bytes of stack` : "";
    console.log(`${name}: passed in ${Math.round((Date.now() - began) / 1000)} s${stack}`);
  } catch (error) {
    failed += 1;
    console.log(`${name}: failed: ${error.message ?? JSON.stringify(error)}`);
  } finally {
    await world.end();
  }
}
process.exit(failed === 0 ? 0 : 1);
