#!/usr/bin/env bash
# Fails if docs/security.md names a test that does not exist, or CONTRIBUTING.md a file or folder that does not.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=0
while read -r name; do
  git grep -qE "fn $name\(" -- '*.rs' || { echo "docs/security.md names a test that does not exist: $name" >&2; missing=1; }
done < <(grep -oE '`[a-z0-9]+(_[a-z0-9]+){2,}`' docs/security.md | tr -d '\`' | sort -u)
while read -r path; do
  [ -e "$path" ] || { echo "CONTRIBUTING.md names what does not exist: $path" >&2; missing=1; }
done < <(grep -oE '`(host|test|sdk|plugins|wit|deploy|crds)(/[a-z0-9_./-]+)?`' CONTRIBUTING.md | tr -d '\`' | sort -u)
exit $missing
