#!/usr/bin/env bash
# setup.sh DIR: installs wstest, the program of the Autobahn test suite 25.10.1, into DIR/venv, once.
#
# The suite runs on CPython 2.7 only, up to its newest release. This takes $PYTHON27, pyenv's, or `python2.7` on the PATH,
# else it unpacks Debian bullseye's packages below DIR; nothing is installed into the system.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
DIR=$(cd "$1" && pwd)

# An unpacked python finds its libraries and headers here.
use_unpacked() {
  export LD_LIBRARY_PATH C_INCLUDE_PATH
  LD_LIBRARY_PATH=$(echo "$DIR"/py27/usr/lib/*-linux-gnu)
  C_INCLUDE_PATH=$DIR/py27/usr/include/python2.7:$DIR/py27/usr/include
}

works() {
  [ -x "$DIR/venv/bin/python" ] && "$DIR/venv/bin/python" -m autobahntestsuite.wstest -a 2> /dev/null | grep -q 25.10.1
}

find_python() { # prints a CPython 2.7 that runs
  local p
  for p in "${PYTHON27:-}" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7*/bin/python2.7 "$(command -v python2.7)"; do
    if [ -n "$p" ] && "$p" -c 'import sys, ssl, zlib, ctypes; sys.exit(sys.version_info[:2] != (2, 7))' 2> /dev/null; then
      echo "$p"
      return
    fi
  done
  return 1
}

unpack_bullseye() { # unpacks Debian's last python2.7 into DIR/py27, from the mirror that this machine's apt uses
  local uri apt="$DIR/apt" package
  uri=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' |
    awk '/\/debian\/*$/ {u = $0} END {print u; exit !u}') ||
    { echo "apt knows no Debian mirror; set PYTHON27 to a CPython 2.7" >&2; return 1; }
  mkdir -p "$apt"/{lists/partial,cache/archives/partial,debs}
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bullseye main" > "$apt/sources.list"
  : > "$apt/status"
  local options=(
    -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status"
    -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root -o Acquire::Check-Valid-Until=false
  )
  apt-get "${options[@]}" -qq update
  (cd "$apt/debs" && apt-get "${options[@]}" -qq download python2.7 python2.7-minimal python2.7-dev libpython2.7-dev \
    libpython2.7-minimal libpython2.7-stdlib libssl1.1 libffi7)
  for package in "$apt"/debs/*.deb; do dpkg -x "$package" "$DIR/py27"; done
  rm -rf "$apt"
}

stamp=$(cat "$HERE/setup.sh" "$HERE/requirements.txt" | sha256sum | cut -d' ' -f1)
[ ! -d "$DIR/py27" ] || use_unpacked
if [ "$(cat "$DIR/.stamp" 2> /dev/null)" = "$stamp" ] && works; then
  exit 0
fi

if ! python=$(find_python); then
  echo "no CPython 2.7 here: unpacking Debian bullseye's"
  unpack_bullseye
  python=$DIR/py27/usr/bin/python2.7
  use_unpacked
fi
echo "installing wstest on $("$python" -V 2>&1) at $python"
rm -rf "$DIR/venv" "$DIR/tools"
python3 -m venv "$DIR/tools"
"$DIR/tools/bin/pip" -q install virtualenv==20.21.1 distlib==0.3.8 filelock==3.12.4 platformdirs==3.11.0
"$DIR/tools/bin/virtualenv" -q --no-periodic-update --no-download -p "$python" "$DIR/venv"
rm -rf "$DIR/tools"
pip=("$DIR/venv/bin/python" -W ignore -m pip -q --disable-pip-version-check --no-python-version-warning
  install --no-deps --no-build-isolation)
"${pip[@]}" setuptools==44.0.0 wheel==0.37.1 Cython==3.0.12
"${pip[@]}" -r "$HERE/requirements.txt"
"${pip[@]}" wsaccel==0.6.6 || echo "wsaccel was not built (it needs a C compiler): wstest is slower without it" >&2
works || { echo "wstest does not start" >&2; exit 1; }
echo "$stamp" > "$DIR/.stamp"
