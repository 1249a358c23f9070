#!/usr/bin/env bash
# Where the operator computes, from what `make bench BENCH_ARGS="--only backlog --perf FILE"` had perf write: a table in
# Markdown on stdout. Each sample counts for the function that ran, wherever it was called from.
#
#   test/bench/profile.sh FILE
set -euo pipefail

: "${1:?usage: test/bench/profile.sh FILE}"
perf report -i "$1" --no-children --sort dso,sym --stdio -g none --percent-limit 0 2>/dev/null |
	awk '
		# What a function is for: the first line that fits. $2 is the program or library, the rest its name.
		function part(dso, name) {
			if (dso ~ /kernel/) {
				if (name ~ /tcp|ip_|inet|sock|skb|net_|netif|dev_|loopback|qdisc|nf_|napi/) return "kernel: TCP over loopback"
				if (name ~ /sched|switch|futex|wake|epoll|ep_|enqueue|dequeue|pick_|rq|cpu/) return "kernel: waking, switching, waiting"
				if (name ~ /page|pte|pmd|fault|mas_|mmap|vma|madvise|mprotect|zap|lru|charge|mem_cgroup|tlb/) return "kernel: memory"
				return "kernel: else"
			}
			if (dso ~ /JIT|perf-/) return "the plugin itself"
			if (name ~ /malloc|free|calloc|realloc|unlink_chunk|rust_dealloc|rust_alloc|sysmalloc|systrim/) return "malloc and free"
			if (name ~ /mem(move|cpy|set|cmp|chr)/) return "copying and comparing memory"
			if (name ~ /rustls|aes|AES|gcm|GCM|AEAD|aead|gmult|tls/) return "TLS"
			if (name ~ /ecp|nistz|p256|P256|sha256|sha512|EC_|ec_|ECDSA|ecdsa|bn_|BN_|RSA|aws_lc/) return "signing and verifying"
			if (name ~ /serde|json|itoa|ryu/) return "JSON"
			if (name ~ /wasmtime|wasm_issuer_runtime/) return "wasmtime and the host side of calls"
			if (name ~ /tracing|sharded_slab/) return "logging"
			if (name ~ /der::|x509|pem|oid|spki|base64|wasm_issuer_core/) return "X.509, PEM and decisions"
			if (name ~ /hyper|h2::|http|tower|kube|Bytes|bytes/) return "HTTP client"
			if (name ~ /tokio|futures|mio::|future/) return "tokio and futures"
			if (name ~ /fmt|jiff|string|str::/) return "text and times"
			if (name ~ /drop_in_place|Drop|BTree|HashMap|hashbrown|SipHasher|sip/) return "maps, and dropping values"
			if (dso ~ /vdso/ || name ~ /clock|time/) return "clocks"
			return "else"
		}
		/^# Samples:/ { samples = $3 }
		/^ +[0-9.]+%/ {
			share = $1 + 0
			dso = $2
			name = $0
			sub(/^ +[0-9.]+% +/, "", name)
			if (name ~ /^\[JIT\]/) dso = "JIT"
			sub(/^.*\[[.k]\] /, "", name)
			of[part(dso, name)] += share
		}
		END {
			printf "%s samples\n\n| what | of the time, %% |\n|---|--:|\n", samples
			fflush()
			for (name in of) printf "| %s | %.1f |\n", name, of[name] | "sort -t\"|\" -k3,3 -rn"
		}'
