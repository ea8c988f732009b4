# Sourced by the lanes with a mode: sets up the suite, builds the peers and runs both roles side by side.
python3 -c 'import venv, ensurepip' 2> /dev/null || need_apt python3-venv
say "setting up the suite in $TARGET/autobahn"
bash tests/autobahn/setup.sh "$TARGET/autobahn"
cargo build -p tidings-tests --bin autobahn-server --bin autobahn-client
say "running the cases"
out=$TARGET/lanes
run=(tests/autobahn/run.py --dir "$TARGET/autobahn" --mode "$1")
"${run[@]}" server -- "$TARGET/debug/autobahn-server" '{port}' > "$out/autobahn-server.out" 2>&1 &
server=$!
client=0
"${run[@]}" client -- "$TARGET/debug/autobahn-client" > "$out/autobahn-client.out" 2>&1 || client=$?
status=$client
wait "$server" || status=1
for role in server client; do
  say "$role: $(grep ' cases passed' "$out/autobahn-$role.out" || echo "did not run")"
  cat "$out/autobahn-$role.out"
done
[ "$status" = 0 ] || fail "see the cases above"
note "$(sed -n 's/ cases passed.*/ cases/p' "$out/autobahn-server.out") in each role"
