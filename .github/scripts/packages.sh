#!/usr/bin/env bash
# Installs on GitHub's Ubuntu what builds need and it lacks.
set -euo pipefail
[ "$(uname -s)" = Linux ] || exit 0
sudo apt-get update -q
sudo apt-get install -q --yes --no-install-recommends musl-tools
