#!/usr/bin/env bash
# Starts one server that is known not to run. Called by scripts/services, which holds the lock.
set -euo pipefail
umask 022

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in common postgres documentdb mongodb s3; do
    # shellcheck disable=SC1090
    source "$here/$part.sh"
done

"$1_start"
