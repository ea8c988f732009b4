#!/usr/bin/env python3
"""Does what README.md tells a newcomer, as written: starts the server, subscribes, publishes with the SDK and with curl.

usage: run.py FOLDER   where the scripts go; FOLDER/node_modules has pusher and pusher-js
"""
import os, re, signal, socket, subprocess, sys, time

PORT = 6001  # the default, which the README's commands use


def blocks(text):
    """The fenced code blocks as (language, code), in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S)


def find(found, language, words, what):
    for name, code in found:
        if name == language and all(word in code for word in words):
            return code
    sys.exit("README.md has no %s block for: %s" % (language, what))


def listening():
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", PORT)) == 0


def until(what, seconds, test):
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            sys.exit("in %d s there was no %s" % (seconds, what))
        time.sleep(0.05)


def start(command, log, **options):
    out = open(log, "w")
    return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                            start_new_session=True, **options)


def stop(process):
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def script(folder, name, code):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(code)
    return path


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


def main(folder):
    found = blocks(read("README.md"))
    serve = find(found, "sh", ["-- serve"], "starting the server")
    subscribe = find(found, "js", ['from "pusher-js"'], "a subscription")
    publish = find(found, "js", ['from "pusher"'], "publishing with the SDK")
    curl = find(found, "sh", ["curl"], "publishing with curl")
    if listening():
        sys.exit("port %d is taken, which the README's commands use" % PORT)
    server_log, subscriber_log = os.path.join(folder, "server.log"), os.path.join(folder, "subscriber.log")
    mine = []
    try:
        mine.append(start(["bash", "-euc", serve], server_log))
        until("server; see " + server_log, 60, lambda: listening() or mine[0].poll() is not None)
        mine.append(start(["node", script(folder, "subscribe.mjs", subscribe)], subscriber_log))
        events = lambda: read(subscriber_log).count("text: 'Hi'")

        # The subscription says nothing when it stands, so the first publish is repeated until it is heard.
        def heard():
            subprocess.run(["node", script(folder, "publish.mjs", publish)], check=True, timeout=30)
            return events() > 0

        until("event by the SDK; see %s and %s" % (subscriber_log, server_log), 20, heard)
        time.sleep(0.2)
        before = events()
        answer = subprocess.run(["bash", "-euo", "pipefail", "-c", curl], check=True, timeout=30,
                                stdout=subprocess.PIPE, universal_newlines=True).stdout
        if answer.strip() != "{}":
            sys.exit("curl got: " + answer)
        until("event by curl; see %s" % subscriber_log, 20, lambda: events() > before)
    finally:
        for process in reversed(mine):
            stop(process)
    print("the server starts, a subscriber hears the SDK and curl")


main(sys.argv[1])
