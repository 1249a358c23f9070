#!/usr/bin/env bash
# Runs commands side by side, and ends the others when one fails or when this is interrupted:
#
#   test/together.sh NAME USUALLY COMMAND [NAME USUALLY COMMAND]...
#
# COMMAND is for bash; what it prints goes to stderr, each line after its NAME. Once it has been silent for 30 s a line tells
# that it still runs and how long it USUALLY takes (empty: no such line, for a command that tells by itself).
set -uo pipefail
set -m # each command becomes a process group, which can be ended whole

logs=$(mktemp -d)
# From here on the shell would tell on stderr of each command that it ends, so what is still said goes to 3.
stop() {
	exec 3>&2 2>/dev/null
	for group in $(jobs -p); do kill -TERM -- "-$group"; done
	wait
}
trap 'rm -rf "$logs"' EXIT
# Ended by the signal itself: a caller whose child exits goes on with what comes next.
trap 'stop; trap - INT; kill -INT $$' INT
trap 'stop; exit 143' TERM HUP

# tell NAME USUALLY: its lines, from stdin.
tell() {
	local name=$1 usually=$2 line rest='' start=$SECONDS code
	while :; do
		IFS= read -r -t 30 line && code=0 || code=$?
		if [ $code = 0 ]; then
			printf '%s | %s\n' "$name" "$rest$line"
			rest=
		elif [ $code -gt 128 ]; then
			rest+=$line # a line that is not whole yet
			[ -z "$usually" ] || printf '%s | still building, %d s so far (usually %s)\n' "$name" $((SECONDS - start)) "$usually"
		else
			[ -z "$rest$line" ] || printf '%s | %s\n' "$name" "$rest$line"
			return 0
		fi
	done
}

together=$(($# / 3))
while [ $# -ge 3 ]; do
	{
		bash -c "$3" </dev/null 2>&1 | tee "$logs/$1" | tell "$1" "$2" >&2 || { echo "$1" >>"$logs/failed"; exit 1; }
	} &
	shift 3
done

for ((i = 0; i < together; i++)); do
	wait -n && continue
	stop
	name=$(head -n 1 "$logs/failed" 2>/dev/null)
	# Its end again, which the lines of the others may have come between.
	[ $together = 1 ] || { echo "--- $name failed. The end of what it said:"; tail -n 30 "$logs/$name"; } >&3
	exit 1
done
