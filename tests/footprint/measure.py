#!/usr/bin/env python3
"""Measures the linked programs: flash above the base program, stack, size of the machine, whether formatting code came
in, and instructions for a frame.

usage: measure.py SPEED SIZE M0 SMALL [--write]

The folders have the programs for a Cortex-M4 at opt-level s and at z, for a Cortex-M0+ at s, and for a Cortex-M4 at z with the
feature small; --write makes TABLE anew.
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
    key = base64.b64encode(keys(0, 16))
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


def qemu(program, *options):
    out = subprocess.run(
        ["timeout", "60", "qemu-system-arm", "-M", "mps2-an386", "-display", "none", "-monitor", "none", "-serial", "none",
         "-nic", "user,restrict=on,model=lan9118", "-semihosting-config", "enable=on,target=native",
         "-kernel", program, *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    report = dict(re.findall(r"^(\w+) (\d+)$", out.stdout.decode(errors="replace"), re.M))
    if out.returncode:
        sys.exit("%s ended with %d: %s" % (program, out.returncode, out.stdout))
    return {name: int(value) for name, value in report.items()}


def run(program, name):
    pieces, events = SCRIPTS[name]
    with tempfile.NamedTemporaryFile() as script:
        script.write(b"".join(struct.pack("<H", len(p)) + p for p in pieces) + b"\0\0")
        script.flush()
        report = qemu(program, "-device", "loader,file=%s,addr=0x21000000,force-raw=on" % script.name)
    if report.get("events") != events:
        sys.exit("%s reported %s; %d events were expected" % (name, report, events))
    return report


def flash(program):
    out = subprocess.run(["arm-none-eabi-size", "-A", program], check=True, stdout=subprocess.PIPE, universal_newlines=True)
    sections = dict(line.split()[:2] for line in out.stdout.splitlines() if line.startswith("."))
    return sum(int(sections.get(name, 0)) for name in (".text", ".rodata", ".data"))


def formats(program):
    out = subprocess.run(["arm-none-eabi-nm", "-C", program], check=True, stdout=subprocess.PIPE, universal_newlines=True)
    return sum("core::fmt" in line for line in out.stdout.splitlines())


def above_base(measure, folder):
    values = {name: measure(os.path.join(folder, name), name) for name in PROGRAMS}
    return {name: value - values["base"] for name, value in values.items()}


def table(speed, size, m0, small):
    lines = ["| program | flash | stack | flash at z | stack at z | flash, M0+ | machine | symbols of core::fmt |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]
    weigh = lambda program, _: flash(program)
    stack = lambda program, name: run(program, name)["stack"]
    columns = [above_base(weigh, speed), above_base(stack, speed), above_base(weigh, size), above_base(stack, size),
               above_base(weigh, m0)]
    for name in PROGRAMS[1:]:
        program = os.path.join(speed, name)
        row = [column[name] for column in columns] + [run(program, name)["object"], formats(program)]
        lines.append("| %s | %s |" % (name, " | ".join(map(str, row))))
    lines += ["", "| program with `small` | flash at z | stack at z | symbols of core::fmt |", "|---|---:|---:|---:|"]
    columns = [above_base(weigh, small), above_base(stack, small)]
    for name in PROGRAMS[1:]:
        row = [column[name] for column in columns] + [formats(os.path.join(small, name))]
        lines.append("| %s | %s |" % (name, " | ".join(map(str, row))))
    counts = qemu(os.path.join(speed, "speed"), "-icount", "shift=0,sleep=off")
    return lines + ["", "| a text frame of 128 bytes | instructions |", "|---|---:|",
                    "| to parse, with its UTF-8 | %d |" % counts["parse"], "| to encode, masked | %d |" % counts["encode"]]


def main(folders, write):
    lines = table(*folders)
    print("\n".join(lines))
    with open(TABLE) as f:
        old = f.read()
    at = old.index("| program |")
    if write:
        with open(TABLE, "w") as f:
            f.write(old[:at] + "\n".join(lines) + "\n")
        return
    numbers = lambda text: [int(n) for n in re.findall(r"(?<=\| )\d+(?= \|)", text)]
    before, now = numbers(old[at:]), numbers("\n".join(lines))
    if len(before) != len(now) or any(abs(b - n) > max(16, b * TOLERANCE) for b, n in zip(before, now)):
        sys.exit("the table in tests/footprint/SIZES.md has other figures: look at the change, then write it with\n"
                 "  SIZES_WRITE=1 tests/run sizes")


main([a for a in sys.argv[1:] if a != "--write"], "--write" in sys.argv)
