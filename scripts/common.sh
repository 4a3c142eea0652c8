# Sourced by ./build, ./check and ./demo: finds or installs what they need, asks nothing, says what it does.
# shellcheck shell=bash

set -euo pipefail
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out="$root/build-output"
mkdir -p "$out"

say() { printf '%s\n' "$@"; }
step() { printf '\n== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$1" >&2; [ $# -lt 2 ] || printf '  next: %s\n' "$2" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null 2>&1; then sudo -n "$@" || fail "cannot run as root without a password: $*" "run it by hand, then this script again"
  else fail "not root, and no sudo here: cannot run: $*" "run it as root, then this script again"
  fi
}

# Installs the named Debian packages that are missing; one apt call for all of them.
need_packages() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null 2>&1 || fail "this is not Debian: cannot install ${missing[*]}" "install them by hand"
  say "installing ${missing[*]}"
  as_root apt-get update -qq >"$out/apt.log" 2>&1 || say "warning: apt-get update failed, going on with the lists that are here (see build-output/apt.log)"
  as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$out/apt.log" 2>&1 || {
    tail -n 5 "$out/apt.log" >&2
    fail "could not install ${missing[*]}" "look at build-output/apt.log"
  }
}

is_jdk25() { [ -x "$1/bin/javac" ] && [ -x "$1/bin/jlink" ] && "$1/bin/java" -version 2>&1 | grep -q 'version "25'; }

find_jdk() {
  local candidate
  for candidate in "${JAVA_HOME:-}" /usr/lib/jvm/*25*; do
    [ -n "$candidate" ] && is_jdk25 "$candidate" && { printf '%s' "$candidate"; return 0; }
  done
  return 1
}

# Sets JAVA_HOME to a JDK 25: an installed one, else Debian's, else the Adoptium project's.
need_jdk() {
  local jdk
  if ! jdk=$(find_jdk); then
    if apt-cache policy openjdk-25-jdk-headless 2>/dev/null | grep -q 'Candidate: [0-9]'; then
      need_packages openjdk-25-jdk-headless
    else
      say "Debian has no JDK 25 for this release: trying the Adoptium project's package source"
      need_packages ca-certificates curl gpg
      # shellcheck source=/dev/null
      local codename; codename=$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")
      { curl -fsS --max-time 60 https://packages.adoptium.net/artifactory/api/gpg/key/public | gpg --dearmor >"$out/adoptium.gpg"; } 2>"$out/adoptium.log" ||
        fail "no JDK 25 here, none in Debian's packages, and the Adoptium source does not answer" "install a JDK 25 and set JAVA_HOME, then run this again"
      as_root install -m 644 "$out/adoptium.gpg" /etc/apt/keyrings/adoptium.gpg
      printf 'deb [signed-by=/etc/apt/keyrings/adoptium.gpg] https://packages.adoptium.net/artifactory/deb %s main\n' "$codename" >"$out/adoptium.list"
      as_root install -m 644 "$out/adoptium.list" /etc/apt/sources.list.d/adoptium.list
      need_packages temurin-25-jdk
    fi
    jdk=$(find_jdk) || fail "a JDK 25 was installed but is not under /usr/lib/jvm" "set JAVA_HOME to it, then run this again"
  fi
  export JAVA_HOME=$jdk
  ln -sfn "$jdk" "$out/jdk"
}

# The pinned Zig, from PyPI, in an environment of its own.
need_zig() {
  zig_version=0.16.0
  zig_home="$out/zig-$zig_version"
  if [ ! -x "$zig_home/bin/python" ] || ! "$zig_home/bin/python" -c "import ziglang" 2>/dev/null; then
    need_packages python3-venv python3-pip
    say "installing Zig $zig_version"
    /usr/bin/python3 -m venv "$zig_home" && "$zig_home/bin/pip" install --quiet --disable-pip-version-check "ziglang==$zig_version" ||
      fail "could not install Zig $zig_version from PyPI" "look at the lines above"
  fi
  zig="$out/zig"
  printf '#!/bin/sh\nexec "%s" -m ziglang "$@"\n' "$zig_home/bin/python" >"$zig"
  chmod +x "$zig"
  export ZIG=$zig ZIG_GLOBAL_CACHE_DIR="$out/zig-cache"
}

# The content of the named trees as one hash; what git ignores does not count.
tree_hash() {
  (cd "$root" && { git ls-files -co --exclude-standard -- "$@" 2>/dev/null || find "$@" -type f -not -path '*/target/*'; } |
    sort -u | while IFS= read -r f; do [ -f "$f" ] && printf '%s\n' "$f"; done | xargs -d '\n' sha256sum; printf '%s' "${JAVA_HOME:-}") | sha256sum | cut -c1-16
}

mvn_run() { (cd "$root/host" && mvn -B -ntp -Dstyle.color=never "$@"); }

# Podman, and what an unprivileged user needs to run containers with a network of their own.
need_podman() {
  need_packages podman uidmap crun runc netavark aardvark-dns slirp4netns passt fuse-overlayfs iptables nftables iproute2 \
    busybox-static docker-registry curl openssl perl util-linux procps
  command -v docker-registry >/dev/null || fail "docker-registry is not installed" "apt-get install docker-registry"
}

# A TCP port on the loopback interface that nothing listens on now.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { printf '%s' "$port"; return; }
  done
}

# Waits until the command succeeds: wait_for SECONDS COMMAND …
wait_for() {
  local until=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $until ] || return 1
    sleep 0.1
  done
}
