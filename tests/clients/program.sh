# Sourced by the lanes of the clients: $TIDINGS_BIN is the program that they test, built here if it is not given.

if [ -z "${TIDINGS_BIN:-}" ]; then
  say "building the program"
  cargo build -q -p tidings
  TIDINGS_BIN=$TARGET/debug/tidings
fi
export TIDINGS_BIN
