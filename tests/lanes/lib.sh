# Helpers of the lanes. A lane starts with:
#
#     #!/usr/bin/env bash
#     # lane NN: what it checks (NN is its place in the order; `# extra NN:` instead when it runs only by name)
#     . "$(dirname "$0")/lib.sh"
#
# It runs in the project's folder, and any command that fails fails the lane, unless its status is tested.
# $ROOT is the project's folder, $TARGET the build folder; a lane keeps what it installs and writes under $TARGET.

set -euo pipefail
: "${ROOT:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}" "${TARGET:=${CARGO_TARGET_DIR:-$ROOT/target}}"
export ROOT TARGET CARGO_TARGET_DIR=$TARGET
cd "$ROOT"
[ -e /dev/fd/3 ] || exec 3>&1

say() { # TEXT: what the lane is doing now, in its log and on the screen
  echo "-- $*"
  [ /dev/fd/3 -ef /dev/fd/1 ] || echo "   $*" >&3
}

note() { # TEXT: what the lane's row in the table says
  echo "note: $*"
}

skip() { # WHY: the lane cannot run on this machine
  note "$*"
  exit 77
}

fail() { # WHY
  note "$*"
  exit 1
}

have() { command -v "$1" > /dev/null 2>&1; }

need_apt() { # PACKAGE...: Debian packages, installed when missing and possible
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! have apt-get || [ "$(id -u)" != 0 ]; then
    skip "needs the Debian packages ${missing[*]}: install them, or run as root"
  fi
  say "installing ${missing[*]} with apt-get"
  export DEBIAN_FRONTEND=noninteractive
  # Without the lists, or with old ones, the first try fails.
  apt-get -qq install --no-install-recommends -y "${missing[@]}" > /dev/null 2>&1 && return 0
  apt-get -qq update || true
  apt-get -qq install --no-install-recommends -y "${missing[@]}" || fail "apt-get cannot install ${missing[*]}"
}

need_command() { # COMMAND PACKAGE: a command from wherever, or else from its Debian package
  have "$1" || need_apt "$2"
}

need_program() { # COMMAND PACKAGE: a command out of a Debian package whose services are not wanted, kept with the tools
  have "$1" && return 0
  PATH=$PATH:$TARGET/tools/$2/usr/bin
  have "$1" && return 0
  have apt-get || skip "needs $1 of the Debian package $2: install it"
  say "taking $1 out of the package $2"
  mkdir -p "$TARGET/tools/$2"
  (cd "$TARGET/tools/$2" && { apt-get -qq download "$2" || { apt-get -qq update && apt-get -qq download "$2"; }; } &&
    dpkg -x "$2"_*.deb . && rm "$2"_*.deb) || fail "apt-get cannot download $2"
}

need_cargo() { # PROGRAM VERSION: a program from crates.io, kept in cargo's bin folder
  "$1" --version 2> /dev/null | grep -qF " $2" && return 0
  say "installing $1 $2 with cargo"
  cargo install -q --locked --version "$2" --target-dir "$TARGET/tools" "$1" ||
    fail "cargo cannot install $1 $2"
}

need_npm() { # FOLDER: npm packages by the folder's lock file
  local stamp
  need_command npm npm
  stamp=$(cat "$1"/package-lock.json <(node --version) | sha256sum)
  [ "$(cat "$1/node_modules/.stamp" 2> /dev/null)" = "$stamp" ] && return 0
  say "installing npm packages in $1"
  (cd "$1" && npm ci --no-audit --no-fund --loglevel=error)
  echo "$stamp" > "$1/node_modules/.stamp"
}

need_venv() { # FOLDER REQUIREMENTS: a Python environment in FOLDER with these pinned packages
  local stamp
  have python3 && python3 -c 'import venv, ensurepip' 2> /dev/null || need_apt python3 python3-venv
  stamp=$(cat "$2" <(python3 --version) | sha256sum)
  [ "$(cat "$1/.stamp" 2> /dev/null)" = "$stamp" ] && return 0
  say "installing the Python packages of $2"
  rm -rf "$1"
  python3 -m venv "$1"
  "$1/bin/pip" -q --disable-pip-version-check install -r "$2"
  echo "$stamp" > "$1/.stamp"
}

free_port() { # prints a TCP port on loopback that nothing listens on
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# A compiler for microcontrollers: Debian's, which brings the sources of `core` and builds it for any target.
need_embedded_rust() {
  need_apt rustc-web cargo-web rust-web-src
  EMBEDDED_RUST=$(dirname "$(dpkg -L rustc-web | grep -m1 'bin/rustc$')")
  # The lanes that build for devices share a folder and flags, and so the library `core` of each target.
  EMBEDDED_TARGET=$TARGET/embedded
  export EMBEDDED_FLAGS='--cfg sha2_backend="soft" --cfg sha2_backend_soft="compact"'
  export CARGO_TARGET_THUMBV6M_NONE_EABI_LINKER=arm-none-eabi-ld
  export CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER=arm-none-eabi-ld
  export CARGO_TARGET_RISCV32IMC_UNKNOWN_NONE_ELF_LINKER=ld.lld
}

# COMMAND ARGUMENTS...: without the library alloc, unless BUILD_STD has it, so that what wants a heap does not build
embedded_cargo() {
  PATH="$EMBEDDED_RUST:$PATH" RUSTC_BOOTSTRAP=1 cargo "$1" "-Zbuild-std=${BUILD_STD:-core}" "${@:2}"
}
