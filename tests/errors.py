#!/usr/bin/env python3
"""Lists the variants of the project's errors that no test names, and fails if there are any."""
import glob, re, sys

# The enum, and the file that declares it.
ENUMS = {
    "ChannelAuthError": "core/src/auth/channel.rs",
    "Fault": "core/src/pusher/server/fault.rs",
    "HandshakeError": "core/src/websocket/handshake/client.rs",
    "HeadError": "core/src/websocket/handshake/head.rs",
    "IdentityError": "core/src/auth/identity.rs",
    "JsonErrorKind": "core/src/json/mod.rs",
    "NameError": "core/src/channel/mod.rs",
    "PeerError": "core/src/websocket/error.rs",
    "RequestAuthError": "core/src/auth/request.rs",
    "UsageError": "core/src/error.rs",
    "EventError": "std-adapter/src/server/handle.rs",
}


def variants(name, text):
    body = re.search(r"pub enum %s \{(.*?)^\}" % name, text, re.M | re.S).group(1)
    return re.findall(r"^    ([A-Z]\w*)", body, re.M)


def test_code():
    """All files of tests, and the test modules at the ends of others."""
    for path in glob.glob("**/*.rs", recursive=True):
        if path.startswith("target/"):
            continue
        text = open(path).read()
        if re.search(r"(^|/)tests?(/|\.rs$)|_tests\.rs$", path):
            yield text
        elif "#[cfg(test)]\nmod tests {" in text:
            yield text.split("#[cfg(test)]\nmod tests {", 1)[1]


def names(code, name, variant):
    if re.search(r"\b%s::%s\b" % (name, variant), code):
        return True
    # A file that imports the variants names them alone.
    return re.search(r"%s::(\*|\{)" % name, code) and re.search(r"(?<!:)\b%s\b" % variant, code)


def main():
    files = list(test_code())
    missing = count = 0
    for name, path in sorted(ENUMS.items()):
        for variant in variants(name, open(path).read()):
            count += 1
            if not any(names(code, name, variant) for code in files):
                print("no test names %s::%s (%s)" % (name, variant, path))
                missing += 1
    print("%d variants, %d without a test" % (count, missing))
    return 1 if missing else 0


sys.exit(main())
