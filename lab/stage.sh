# Sourced by lab/host and lab/host-native: what a lab host finds below /lab.
# shellcheck shell=bash

# stage RELEASE JOB FOLDER: the job with what lies beside it, and the programs as built, with Java's place in that release; those of an
# older version too, where LAB_OLDER names a checkout in which it was built, and what lies in the folder LAB_MORE, in /lab/more.
stage() {
  local release=$1 job=$2 files=$3 file program
  for file in host/agent/target/dist/java.args host/cli/target/dist/java.args; do
    [ -f "$root/$file" ] || fail "the lab's host: $file is missing" "./build"
  done
  mkdir -p "$files/jobs" "$files/checkout/build-output" "$files/checkout/host/agent/target" "$files/checkout/host/cli/target"
  cp "$root/lab/host-start" "$files/start"
  cp -r "$(dirname "$job")/." "$files/jobs/"
  printf '#!/bin/sh\nexec "/lab/jobs/%s" "$@"\n' "$(basename "$job")" >"$files/job"
  chmod 755 "$files/job"
  cp -a "$root/bin" "$root/scripts" "$root/examples" "$files/checkout/"
  cp -a "$root/host/agent/target/dist" "$files/checkout/host/agent/target/"
  cp -a "$root/host/cli/target/dist" "$files/checkout/host/cli/target/"
  # The programs find themselves by these paths; there the checkout lies elsewhere.
  sed -i "s#$root/#/lab/checkout/#g" "$files"/checkout/host/*/target/dist/java.args
  ln -s "$JAVA_HOME" "$files/checkout/build-output/jdk"
  [ "$release" = 12 ] || ln -sfn /usr/lib/jvm/java-25-openjdk-amd64 "$files/checkout/build-output/jdk"
  [ -z "${LAB_MORE:-}" ] || cp -a "$LAB_MORE" "$files/more"
  if [ -n "${LAB_OLDER:-}" ]; then
    mkdir -p "$files/older/build-output" "$files/older/host/agent/target" "$files/older/host/cli/target"
    cp -a "$LAB_OLDER/bin" "$LAB_OLDER/scripts" "$files/older/"
    for program in agent cli; do cp -a "$LAB_OLDER/host/$program/target/dist" "$files/older/host/$program/target/"; done
    sed -i "s#$LAB_OLDER/#/lab/older/#g" "$files"/older/host/*/target/dist/java.args
    cp -P "$files/checkout/build-output/jdk" "$files/older/build-output/"
  fi
}
