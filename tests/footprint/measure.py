#!/usr/bin/env python3
"""Measures the linked programs: flash above the base program, stack, and whether formatting code came in.

usage: measure.py FOLDER [--write]   FOLDER has the programs; --write makes TABLE anew
"""
import base64, hashlib, os, re, struct, subprocess, sys, tempfile

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "SIZES.md")
PROGRAMS = ["base", "framing", "handshake", "client"]
TOLERANCE = 0.02


def keys(seed, count):
    out = bytearray()
    for _ in range(count):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(seed >> 24)
    return bytes(out)


def frame(opcode, payload):
    head = bytes([0x80 | opcode])
    head += bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
    return head + payload


def accepted():
    key = base64.b64encode(keys(1, 16))
    proof = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n")


def text(message):
    return frame(1, message.encode())


FRAMING = [frame(1, b"t" * 128), frame(1, b"u" * 128)[:70], frame(1, b"u" * 128)[70:], frame(9, b"ping"),
           frame(8, struct.pack(">H", 1000))]
PUSHER = [
    text('{"event":"pusher:connection_established","data":"{\\"socket_id\\":\\"1234.5678\\",\\"activity_timeout\\":120}"}'),
    text('{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"private-telemetry"}'),
    text('{"event":"pusher_internal:subscription_succeeded","data":"{}","channel":"news"}'),
    text('{"event":"led","data":"{\\"on\\":true}","channel":"private-telemetry"}'),
    text('{"event":"pusher:ping","data":{}}'),
    text('{"event":"headline","data":"{\\"text\\":\\"%s\\"}","channel":"news"}' % ("x" * 128)),
    text('{"event":"pusher:error","data":{"code":4200,"message":"bye"}}'),
    frame(8, struct.pack(">H", 4200)),
]
# What each is fed, and how many events it must report.
SCRIPTS = {
    "base": ([b"abcd"] * 3, 3),
    "framing": (FRAMING, 2),
    "handshake": ([accepted()[:40], accepted()[40:]] + FRAMING, 2),
    "client": ([accepted()] + PUSHER, 2),
}


def run(program, name):
    pieces, events = SCRIPTS[name]
    with tempfile.NamedTemporaryFile() as script:
        script.write(b"".join(struct.pack("<H", len(p)) + p for p in pieces) + b"\0\0")
        script.flush()
        out = subprocess.run(
            ["timeout", "60", "qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "none",
             "-nic", "user,restrict=on,model=lan9118", "-semihosting-config", "enable=on,target=native",
             "-device", "loader,file=%s,addr=0x21000000,force-raw=on" % script.name, "-kernel", program],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    report = dict(re.findall(r"^(\w+) (\d+)$", out.stdout.decode(errors="replace"), re.M))
    if out.returncode or int(report.get("events", -1)) != events:
        sys.exit("%s ended with %d and reported %s; %d events were expected" % (name, out.returncode, out.stdout, events))
    return int(report["stack"])


def flash(program):
    out = subprocess.run(["arm-none-eabi-size", "-A", program], check=True, stdout=subprocess.PIPE, universal_newlines=True)
    sections = dict(line.split()[:2] for line in out.stdout.splitlines() if line.startswith("."))
    return sum(int(sections.get(name, 0)) for name in (".text", ".rodata", ".data"))


def formats(program):
    out = subprocess.run(["arm-none-eabi-nm", "-C", program], check=True, stdout=subprocess.PIPE, universal_newlines=True)
    return sum("core::fmt" in line for line in out.stdout.splitlines())


def main(folder, write):
    rows = {}
    for name in PROGRAMS:
        program = os.path.join(folder, name)
        rows[name] = (flash(program), run(program, name), formats(program))
    base = rows["base"]
    lines = ["| program | flash | stack | symbols of core::fmt |", "|---|---:|---:|---:|"]
    for name in PROGRAMS[1:]:
        size, stack, symbols = rows[name]
        lines.append("| %s | %d | %d | %d |" % (name, size - base[0], stack - base[1], symbols))
    print("\n".join(lines))
    with open(TABLE) as f:
        old = f.read()
    at = old.index("| program |")
    if write:
        with open(TABLE, "w") as f:
            f.write(old[:at] + "\n".join(lines) + "\n")
        return
    numbers = lambda text: [int(n) for n in re.findall(r"(?<=\| )\d+", text)]
    before, now = numbers(old[at:]), numbers("\n".join(lines))
    if len(before) != len(now) or any(abs(b - n) > max(16, b * TOLERANCE) for b, n in zip(before, now)):
        sys.exit("the table in tests/footprint/SIZES.md has other figures: look at the change, then write it with\n"
                 "  SIZES_WRITE=1 tests/run sizes")


main(sys.argv[1], "--write" in sys.argv[2:])
