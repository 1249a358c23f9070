#!/usr/bin/env bash
# Starts, stops and changes the CFSSL servers of run.sh, for the command that runs there:
#
#   test/cfssl/control.sh start|stop|restart [multirootca|serve]   # both without a name
#   test/cfssl/control.sh rotate-certificate   # a new server certificate of the same CA, and a restart
#   test/cfssl/control.sh rotate-ca            # a new CA as well: $CFSSL_CA is another file afterwards
#   test/cfssl/control.sh rotate-key           # a new authentication key in $CFSSL_AUTH_KEY_FILE, and a restart
#
# Ports stay as they are. It returns when the servers accept connections.
set -euo pipefail

: "${CFSSL_DIR:?is not set: run this under test/cfssl/run.sh}"
: "${CFSSL_BIN:?is not set: run this under test/cfssl/run.sh}"
cd "$CFSSL_DIR"

say() { echo "cfssl: $*" >&2; }
die() { say "$*"; exit 1; }

# json NAME CONTENT...: writes NAME.json
json() { cat >"$1.json"; }
# save NAME: what cfssl prints, as NAME.pem and NAME-key.pem. cfssl logs even what is fine, so its log goes to a file.
cfssl() { "$CFSSL_BIN/cfssl" "$@" 2>>cfssl.log || { tail -n 5 cfssl.log >&2; die "cfssl $1 failed"; }; }
save() { "$CFSSL_BIN/cfssljson" -bare "$1"; }

# root NAME: a self-signed CA.
root() {
	json "$1" <<<"{\"CN\": \"CFSSL test $1 $RANDOM\", \"key\": {\"algo\": \"ecdsa\", \"size\": 256}, \"ca\": {\"expiry\": \"87600h\"}}"
	cfssl genkey -initca "$1.json" | save "$1"
}

# issue CA PROFILE NAME KEY HOSTS: a certificate of that CA.
issue() {
	json "$3" <<<"{\"CN\": \"CFSSL test $3\", \"key\": $4, \"names\": [{\"O\": \"wasm-issuer\"}]}"
	cfssl gencert -ca "$1.pem" -ca-key "$1-key.pem" -config making.json -profile "$2" ${5:+-hostname "$5"} "$3.json" | save "$3"
}

server_certificate() { issue tls server server '{"algo": "ecdsa", "size": 256}' 127.0.0.1,::1,localhost; }

# The profiles of all three CAs. Without auth_key a profile needs no token.
profiles() {
	local auth_key=$1
	cat <<-EOF
		{
			"auth_keys": {
				"main": {"type": "standard", "key": "$(<auth-key)"},
				"other": {"type": "standard", "key": "00112233445566778899aabbccddeeff"}
			},
			"signing": {
				"default": {"usages": ["digital signature", "key encipherment", "server auth", "client auth"], "expiry": "2160h"$auth_key},
				"profiles": {
					"server": {"usages": ["digital signature", "key encipherment", "server auth"], "expiry": "2160h"$auth_key},
					"short": {"usages": ["digital signature", "client auth"], "expiry": "1h"$auth_key},
					"ca": {"usages": ["cert sign", "crl sign"], "expiry": "2160h", "ca_constraint": {"is_ca": true}$auth_key},
					"restricted": {"usages": ["server auth"], "expiry": "2160h", "name_whitelist": "\\\\.example\\\\.com$"$auth_key},
					"other-key": {"usages": ["server auth"], "expiry": "2160h", "auth_key": "other"},
					"no-key": {"usages": ["server auth"], "expiry": "2160h"}
				}
			}
		}
	EOF
}

configure() {
	profiles ', "auth_key": "main"' >authenticated.json
	profiles '' >open.json
}

new_key() { (umask 077; od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >auth-key); }

# prepare: everything that the servers need, once.
prepare() {
	json making <<-EOF
		{"signing": {"profiles": {
			"server": {"usages": ["digital signature", "server auth"], "expiry": "2160h"},
			"intermediate": {"usages": ["cert sign", "crl sign"], "expiry": "43800h", "ca_constraint": {"is_ca": true, "max_path_len": 1}}
		}}}
	EOF
	root tls
	server_certificate
	cp tls.pem ca-bundle.pem
	root root
	issue root intermediate primary '{"algo": "ecdsa", "size": 256}'
	issue root intermediate secondary '{"algo": "rsa", "size": 2048}'
	new_key
	configure
	local label
	for label in primary secondary; do
		printf '[%s]\nprivate = file://%s/%s-key.pem\ncertificate = %s/%s.pem\nconfig = %s/authenticated.json\n' \
			$label "$CFSSL_DIR" $label "$CFSSL_DIR" $label "$CFSSL_DIR"
	done >multirootca.conf
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port below those that the kernel hands out, so that nobody takes it while the server is stopped.
free_port() {
	local port
	for _ in {1..100}; do
		port=$((20000 + RANDOM % 12000))
		listens $port || { echo $port; return; }
	done
	die "no free port"
}

# Where nobody reaps it at once, a process that has ended stays for a while as a zombie.
running() { [ -e "$1.pid" ] && grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$(<"$1.pid")/status"; }

start() {
	local name=$1 command port
	[ -e "$name.port" ] || free_port >"$name.port"
	port=$(<"$name.port")
	! running "$name" || return 0
	case $name in
	multirootca) command=("$CFSSL_BIN/multirootca" -a "127.0.0.1:$port" -roots multirootca.conf -tls-cert server.pem -tls-key server-key.pem) ;;
	serve) command=("$CFSSL_BIN/cfssl" serve -address 127.0.0.1 -port "$port" -ca primary.pem -ca-key primary-key.pem -config open.json
		-ca-bundle root.pem -int-bundle primary.pem -tls-cert server.pem -tls-key server-key.pem) ;;
	*) die "no such server: $name" ;;
	esac
	"${command[@]}" </dev/null >>"$name.log" 2>&1 &
	echo $! >"$name.pid"
	for _ in {1..100}; do
		running "$name" || break
		listens "$port" && return
		sleep 0.1
	done
	tail -n 20 "$name.log" >&2
	die "$name did not start (see above)"
}

stop() {
	running "$1" || return 0
	kill "$(<"$1.pid")"
	for _ in {1..100}; do
		running "$1" || { rm -f "$1.pid"; return; }
		sleep 0.1
	done
	die "$1 does not stop"
}

each() {
	local action=$1 name
	shift
	[ $# -gt 0 ] || set -- multirootca serve
	for name; do "$action" "$name"; done
}

restart() { stop "$1"; start "$1"; }

case ${1:-} in
prepare) prepare ;;
start | stop | restart) each "$@" ;;
rotate-certificate) server_certificate; each restart ;;
rotate-ca) root tls; server_certificate; cp tls.pem ca-bundle.pem; each restart ;;
rotate-key) new_key; configure; each restart ;;
*) die "usage: $0 start|stop|restart [multirootca|serve] | rotate-certificate | rotate-ca | rotate-key" ;;
esac
