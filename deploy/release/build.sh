#!/usr/bin/env bash
# Builds what is released for this platform: from the same sources the same bytes, in whatever folders they and the tools are.
#
#   deploy/release/build.sh FOLDER [PLUGIN...]   # FOLDER/wasm-issuer, on Linux linked statically, and FOLDER/plugins/*.wasm
set -euo pipefail

folder=${1:?usage: deploy/release/build.sh FOLDER [PLUGIN...]}
shift
mkdir -p "$folder"
folder=$(cd "$folder" && pwd -P)
cd "$(dirname "$0")/../.."

case $(uname -s) in
# musl: all of libc is in it, with the licence MIT. A static glibc would look for libraries to resolve names with.
Linux) target=$(uname -m)-unknown-linux-musl ;;
*) target=$(rustc -vV | sed -n 's/^host: //p') ;;
esac
cargo fetch --locked >&2 # so that registries are where they are looked for below

# Folders that compilers would write into what they make, as FOLDER=NAME. The last that fits counts.
folders=()
called() { folders+=("$1=$2"); [ "$(cd "$1" && pwd -P)" = "$1" ] || folders+=("$(cd "$1" && pwd -P)=$2"); }
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$target_dir"
cargo_home=${CARGO_HOME:-$HOME/.cargo}
called "$cargo_home" /cargo
# Named after the registry, or the mirror that stands for it here.
for registry in "$cargo_home"/registry/src/*; do called "$registry" /cargo/registry; done
called "$PWD" /wasm-issuer
called "$target_dir" /target
called "$(rustc --print sysroot)" /rust

rust_flags= c_flags=
for each in "${folders[@]}"; do
	rust_flags+=${rust_flags:+$'\x1f'}--remap-path-prefix=$each
	c_flags+=${c_flags:+ }-ffile-prefix-map=$each
done
export CARGO_ENCODED_RUSTFLAGS=$rust_flags "CFLAGS_${target//-/_}=$c_flags"

cargo build --locked --release --target "$target" -p wasm-issuer --bin wasm-issuer
install -m 755 "$target_dir/$target/release/wasm-issuer" "$folder/wasm-issuer"

rm -rf "$folder/plugins"
[ $# = 0 ] && exit
# In a folder of their own: these flags would have `make plugins` compile all anew, each time.
CARGO_TARGET_DIR=$target_dir/release-plugins cargo build --locked --target wasm32-wasip2 --profile plugin "${@/#/--package=}"
mkdir "$folder/plugins"
for plugin; do
	install -m 644 "$target_dir/release-plugins/wasm32-wasip2/plugin/${plugin//-/_}.wasm" "$folder/plugins/"
done
