#!/usr/bin/env python3
"""Runs Autobahn's wstest against a WebSocket peer on loopback and judges its report strictly; see README.md."""
import argparse, ast, collections, glob, json, os, re, signal, socket, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
QUICK = "1.* 2.* 3.* 4.* 5.* 6.* 7.* 10.*"
MODES = {"quick": (QUICK, 120), "nodeflate": (QUICK + " 9.*", 900)}  # cases, time limit in seconds
PASS = ("OK", "INFORMATIONAL")


def die(why):
    print("autobahn: " + why, file=sys.stderr)
    sys.exit(2)


def start(command, log, env={}):
    """Starts a command as the leader of a process group of its own, so that stop() reaches its children."""
    return subprocess.Popen(command, stdout=open(log, "w"), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                            env={**os.environ, **env}, start_new_session=True)


def stop(process):
    """Ends a process and its children; wstest writes its reports first."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ended(process, seconds):
    """Waits for a process to end; false if it has not after so many seconds."""
    try:
        process.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


def await_listener(port, process, what):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
    die("%s does not listen on 127.0.0.1:%d" % (what, port))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ids(cases):
    """['3.1', '3.2', '3.3', '5.1'] -> '3.1-3 5.1'"""
    runs = []
    for *group, n in sorted([int(x) for x in c.split(".")] for c in cases):
        if runs and runs[-1][0] == group and runs[-1][2] == n - 1:
            runs[-1][2] = n
        else:
            runs.append([group, n, n])
    return " ".join(".".join(map(str, g + [n])) + ("-%d" % m if m > n else "") for g, n, m in runs)


def faults(out, result):
    """What is wrong with one case's result."""
    found = []
    if result["behavior"] not in PASS:
        found.append(result["behavior"])
    if result["behaviorClose"] not in PASS and result["behavior"] != "MISSING":
        found.append("close " + result["behaviorClose"])
    # A peer that fails the connection owes a close code, which the suite does not ask for.
    if "reportfile" in result and result["remoteCloseCode"] is None:
        close = json.load(open(os.path.join(out, result["reportfile"])))["expectedClose"]
        if close and not close.get("closedByMe", True):
            found.append("failed without a close code")
    return found


def judge(out, log, took):
    chosen = re.search(r"^Cases = (\[.*\])$", log, re.M)
    if not chosen:
        die("wstest chose no cases, see %s/wstest.log" % out)
    expected = ast.literal_eval(chosen.group(1))
    try:
        index = json.load(open(out + "/index.json"))
    except (OSError, ValueError):
        die("no report in %s: the peer ran no case, or wstest was ended early" % out)
    results = next(iter(index.values()), {})
    kinds = collections.defaultdict(list)
    for case in expected:
        for fault in faults(out, results.get(case, {"behavior": "MISSING", "behaviorClose": "MISSING"})):
            kinds[fault].append(case)
    for fault, cases in sorted(kinds.items()):
        print("  %s (%d): %s" % (fault, len(cases), ids(cases)))
    failed = {case for cases in kinds.values() for case in cases}
    print("%d cases passed, %d failed in %.0f s" % (len(expected) - len(failed), len(failed), took))
    if failed:
        print("the log of a case on both sides: %s/index.html" % out)
    return 1 if failed else 0


def run(out, wstest, mine):
    """Runs the suite against the peer, adding to `mine` what it starts; returns the seconds taken."""
    log, peer = out + "/wstest.log", out + "/peer.log"
    cases, limit = MODES[ARGS.mode]
    port = free_port()
    url = "ws://127.0.0.1:%d" % port
    spec = {"outdir": out, "cases": (ARGS.cases or cases).split(), "exclude-cases": [], "exclude-agent-cases": {}}
    spec.update({"servers": [{"agent": ARGS.role, "url": url + "/"}]} if ARGS.role == "server" else {"url": url})
    with open(out + "/spec.json", "w") as f:
        json.dump(spec, f, indent=1)
    if ARGS.role == "server":
        mine.append(start([word.replace("{port}", str(port)) for word in ARGS.command], peer))
        await_listener(port, mine[0], ARGS.command[0])
        began = time.monotonic()
        mine.append(start(wstest + ["fuzzingclient"], log))
    else:
        mine.append(start(wstest + ["fuzzingserver", "-u", "0"], log))
        await_listener(port, mine[0], "wstest")
        count = re.search(r"will run (\d+) test cases", open(log, errors="replace").read())[1]
        began = time.monotonic()
        mine.append(start(ARGS.command, peer, {"AUTOBAHN_URL": url, "AUTOBAHN_CASES": count, "AUTOBAHN_AGENT": ARGS.role}))
    if not ended(mine[-1], ARGS.seconds or limit):
        print("ended after the time limit of %d s" % (ARGS.seconds or limit))
    elif ARGS.role == "client" and mine[-1].returncode:
        die("the client exited with %d, see %s" % (mine[-1].returncode, peer))
    return time.monotonic() - began


def main():
    python = os.path.join(os.path.abspath(ARGS.dir), "venv/bin/python")
    if not os.path.exists(python):
        die("no wstest in %s: run setup.sh %s" % (ARGS.dir, ARGS.dir))
    # Debian bullseye's python, which setup.sh unpacked, finds its libraries beside it.
    for libraries in glob.glob(os.path.abspath(ARGS.dir) + "/py27/usr/lib/*-linux-gnu"):
        os.environ["LD_LIBRARY_PATH"] = libraries
    out = os.path.join(os.path.abspath(ARGS.dir), "reports", ARGS.role)
    os.makedirs(out, exist_ok=True)
    for file in glob.glob(out + "/index.*") + glob.glob(out + "/*_case_*.*"):
        os.remove(file)
    wstest = [python, "-u", HERE + "/wstest.py", "-s", out + "/spec.json", "-m"]
    mine = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        took = run(out, wstest, mine)
    finally:
        for process in reversed(mine):
            stop(process)
    return judge(out, open(out + "/wstest.log", errors="replace").read(), took)


def arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("role", choices=("server", "client"), help="what the peer is")
    p.add_argument("command", nargs="+", help="starts the peer; {port} in it is the port a server must listen on")
    p.add_argument("-m", "--mode", choices=MODES, default="quick")
    p.add_argument("-c", "--cases", help="these cases instead of the mode's, e.g. '7.* 6.4.1'")
    p.add_argument("-d", "--dir", default="target/autobahn", help="where setup.sh put wstest; reports go below it")
    p.add_argument("-t", "--seconds", type=float, help="another time limit")
    return p.parse_args()


ARGS = arguments()
sys.exit(main())
