#!/usr/bin/env bash
# Holdfast's door: finds or installs the pinned Node, builds the runner, hands over. No logic lives here.
#
# An update replaces this very file while bash still reads it, hence everything is in main, which bash has read
# whole before it runs. What is built is built in a temporary folder and renamed: nobody meets half-made things, not
# even those of a start that was killed. Of several first starts one builds, and the others wait for it.
set -euo pipefail
shopt -s globstar nullglob inherit_errexit

say() { printf '%s\n' "$*" >&2; }
die() { say "cannot start: $*"; exit 1; }

# npm by itself is silent for more than a minute where there is no network: one more attempt, soon, is enough.
patience=(--fetch-retries=1 --fetch-retry-mintimeout=2000 --fetch-retry-maxtimeout=5000 --fetch-timeout=60000)

# Until this subshell ends, nobody else builds; and what it makes belongs to its owner alone, whatever the umask.
build_alone() {
  umask 077
  exec 9>"$1/door.lock"
  flock 9 || die "flock does not work here; it is part of util-linux."
  # What a killed start left half-made.
  rm -rf -- "$1"/node/.new.* "$1"/dependencies/.new.* "$1"/runner/.new.*
}

# Prints the absolute path of a Node that is new enough: the one on PATH, else the pinned one, installed on first use.
find_node() {
  local home=$1 state=$2 pinned major found
  read -r pinned <"$home/.nvmrc"
  if found=$(command -v node) && major=$("$found" --version 2>/dev/null) && major=${major#v} &&
    [ "${major%%.*}" -ge "${pinned%%.*}" ] 2>/dev/null; then
    readlink -f -- "$found"
    return
  fi
  found=$state/node/$pinned/bin/node
  [ -x "$found" ] || install_node "$pinned" "$state" "$found"
  printf '%s\n' "$found"
}

# Installs the pinned Node from the npm registry.
install_node() {
  local pinned=$1 state=$2 found=$3 machine temporary
  build_alone "$state"
  [ ! -x "$found" ] || return 0
  command -v npm >/dev/null || die "neither Node ${pinned%%.*} nor npm is installed. Install Node ${pinned%%.*} or later, or any Node with npm."
  case $(uname -m) in
    x86_64) machine=x64 ;;
    aarch64 | arm64) machine=arm64 ;;
    *) die "no Node ${pinned%%.*} is packaged for $(uname -m). Install Node ${pinned%%.*} or later by hand." ;;
  esac
  say "Downloading Node $pinned from the npm registry into .holdfast (about 50 MB, once) ..."
  mkdir -p -- "$state/node"
  temporary=$(mktemp -d -- "$state/node/.new.XXXXXX")
  npm install --prefix "$temporary" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
    "${patience[@]}" "node-linux-$machine@$pinned" >/dev/null || { rm -rf -- "$temporary"; die "npm could not download Node $pinned. Check the network ('npm ping' shows whether the registry answers), or install Node ${pinned%%.*} by hand."; }
  publish "$temporary/node_modules/node-linux-$machine" "$state/node/$pinned"
  rm -rf -- "$temporary"
}

# Moves a finished folder to its name, unless somebody else was quicker. On disk first: after a power cut a runner of
# no bytes had its name, did nothing, and exited 0.
publish() {
  sync --file-system "$1" 2>/dev/null || sync
  mv -T -- "$1" "$2" 2>/dev/null || [ -d "$2" ] || die "$2 could not be created."
}

# Prints the folder of the root's dependencies, installed by the lockfile on first use. $3: "" or "-dev".
find_dependencies() {
  local home=$1 state=$2 kind=$3 hash folder temporary omit=(--omit=dev)
  hash=$(cat -- "$home/package.json" "$home/package-lock.json" | sha256sum)
  folder=$state/dependencies/${hash:0:16}
  [ -n "$kind" ] || [ ! -d "$folder-dev" ] || kind=-dev
  folder=$folder$kind
  [ -d "$folder" ] || build_alone "$state"
  if [ ! -d "$folder" ]; then
    [ -z "$kind" ] || omit=(--include=dev)
    say "Downloading Holdfast's own dependencies from the npm registry into .holdfast (once for each version) ..."
    mkdir -p -- "$state/dependencies"
    temporary=$(mktemp -d -- "$state/dependencies/.new.XXXXXX")
    cp -- "$home/package.json" "$home/package-lock.json" "$temporary"
    (cd -- "$temporary" && npm ci "${omit[@]}" --ignore-scripts --no-audit --no-fund --loglevel=error "${patience[@]}") >/dev/null ||
      { rm -rf -- "$temporary"; die "npm could not download Holdfast's dependencies. Check the network ('npm ping' shows whether the registry answers) and the room on the disk (df -h), then run this again."; }
    publish "$temporary" "$folder"
    rm -rf -- "$temporary"
  fi
  printf '%s\n' "$folder"
}

# Makes node_modules a link to the dependencies; a folder that a developer installed is left alone.
link_dependencies() {
  local home=$1 folder=$2 link=$1/node_modules
  if [ -L "$link" ] && [ "$(readlink -- "$link")" = "$folder/node_modules" ]; then return; fi
  if [ -e "$link" ] && [ ! -L "$link" ]; then return; fi
  ln -s -- "$folder/node_modules" "$home/.node_modules.$$"
  mv -Tf -- "$home/.node_modules.$$" "$link"
}

# Prints the folder of the runner that belongs to these sources, built on first use. A release whose runner does
# not build must not take the way back away: the last one that did is used, with a warning.
find_runner() {
  local home=$1 state=$2 node=$3 hash folder temporary
  hash=$(cd -- "$home" && sha256sum -- orchestrator/**/*.ts orchestrator/**/*.cjs lxd/**/*.yaml package.json package-lock.json | sha256sum)
  folder=$state/runner/${hash:0:16}
  [ -s "$folder/main.mjs" ] || build_alone "$state"
  if [ ! -s "$folder/main.mjs" ]; then
    rm -rf -- "$folder"
    mkdir -p -- "$state/runner"
    temporary=$(mktemp -d -- "$state/runner/.new.XXXXXX")
    if "$node" "$home/orchestrator/build-runner.ts" "$temporary" "$node" >&2; then
      publish "$temporary" "$folder"
      ln -sfn -- "${folder##*/}" "$state/runner/latest"
    elif [ -f "$state/runner/latest/main.mjs" ]; then
      say "warning: this release's Holdfast does not build; using the last one that did."
      folder=$(readlink -f -- "$state/runner/latest")
    else
      rm -rf -- "$temporary"
      die "the runner could not be built; see the lines above."
    fi
    rm -rf -- "$temporary"
  fi
  printf '%s\n' "$folder"
}

main() {
  local home state node dependencies runner word kind=""
  # How we were called is how the next command is to be typed.
  export HOLDFAST_DOOR=$0
  home=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
  state=$home/.holdfast

  # An interrupted run is finished by the very runner that began it, before anything is installed or built.
  if [ -e "$state/unfinished" ] && [ -x "$state/recover" ]; then
    exec "$state/recover" "$@"
  fi
  [ ! -d "$state" ] || { [ -w "$state" ] && [ -x "$state" ]; } || die "$state is not writable by $(id -un). Run this as its owner."
  if [ ! -d "$state/.git" ]; then
    (umask 077 && mkdir -p -- "$state") || die "$state cannot be created by $(id -un). Run this as the owner of the checkout."
    # A repository of its own, so that "git clean -fdx" leaves it alone.
    git init --quiet -- "$state"
  fi

  for word in "$@"; do
    case $word in test | bench) kind=-dev ;; esac
  done
  node=$(find_node "$home" "$state")
  dependencies=$(find_dependencies "$home" "$state" "$kind")
  link_dependencies "$home" "$dependencies"
  runner=$(find_runner "$home" "$state" "$node")
  HOLDFAST_HOME=$home NODE_COMPILE_CACHE=$state/cache exec "$node" "$runner/main.mjs" "$@"
}

main "$@"
exit
