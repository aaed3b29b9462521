#!/usr/bin/env bash
#
# Runs this backend's data migrations, from any directory: see README.md beside it, or --help.
# It only finds a Node that runs TypeScript by itself; everything else is src/data-migrations/.

set -euo pipefail

here="$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")"
backend="$(cd -- "$here/../.." && pwd -P)"

# Node strips types by itself from 22.18 on. The version answers ten times as fast as a script that asks for the ability.
runs_typescript() {
  local major minor
  IFS=. read -r major minor _ <<<"$("$1" --version 2>/dev/null)" || return 1
  major=${major#v}
  [[ "$major" =~ ^[0-9]+$ && "$minor" =~ ^[0-9]+$ ]] && ((major > 22 || (major == 22 && minor >= 18))) && ((major != 23 || minor >= 6))
}

# The updater's choice, then this shell's, then the one that the updater installed beside the checkout.
find_node() {
  local candidate
  for candidate in "${HOLDFAST_NODE:-}" "$(command -v node || true)" "$backend"/../.holdfast/node/{,*/}{,node_modules/node/}bin/node; do
    if [[ -n "$candidate" && -x "$candidate" ]] && runs_typescript "$candidate"; then
      printf '%s\n' "$candidate"
      return
    fi
  done
  return 1
}

if ! node="$(find_node)"; then
  echo 'cannot run the data migrations: no Node.js that runs TypeScript was found. Install Node.js 24, or set HOLDFAST_NODE to its path' >&2
  exit 2
fi
if [[ ! -d "$backend/node_modules" ]]; then
  echo "cannot run the data migrations: the backend is not installed. Run: cd '$backend' && npm ci && npx prisma generate" >&2
  exit 2
fi

# What is set already wins over the files, the backend's file over the appliance's.
settings=()
for file in "$backend/../.env" "$backend/.env"; do
  if [[ -f "$file" ]]; then settings+=("--env-file=$file"); fi
done

exec "$node" --disable-warning=ExperimentalWarning "${settings[@]}" "$backend/src/data-migrations/main.ts" "$@"
