# Sourced after common.sh by ./demo and the benchmarks: an image registry and a node of their own in a scratch directory, and their end.
# shellcheck shell=bash disable=SC2154

mcp=$root/bin/mcp
registry_pid='' agent_pid=''
export METACIRCULAR_PODMAN_USER=${METACIRCULAR_PODMAN_USER:-mcp}
podman_env=$root/host/scripts/rootless-podman-env

# Makes $scratch and rootless podman: scratch_begin NAME
scratch_begin() {
  local environment
  need_podman
  environment=$("$podman_env") || exit 1
  eval "$environment"
  [ -z "$METACIRCULAR_PODMAN_CONF" ] || export CONTAINERS_CONF=$METACIRCULAR_PODMAN_CONF
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/metacircular-$1.XXXXXX")
  chmod 755 "$scratch"
  export MCP_CONFIG="$scratch/operator"
  mkdir -p "$MCP_CONFIG/services"
}

# Ends what was started and removes the scratch directory; services must have been purged before.
scratch_end() {
  local pid
  for pid in $agent_pid $registry_pid; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  if [ -n "${scratch:-}" ]; then
    rm -rf "$scratch" 2>/dev/null || "$podman_env" run podman unshare rm -rf "$scratch/srv" || true
    rm -rf "$scratch"
  fi
}

# Sets $registry to an image registry on the loopback interface.
start_registry() {
  local port
  port=$(free_port)
  registry=127.0.0.1:$port
  "$root/host/scripts/test-registry" "$scratch/registry" "$port" >"$scratch/registry.log" 2>&1 &
  registry_pid=$!
  wait_for 20 curl -fsS "http://$registry/v2/" || { tail -n 5 "$scratch/registry.log"; fail "the image registry does not answer on $registry"; }
}

# Makes and starts the node `alpha` and registers it with the operator. A function `show CMD…` that prints commands may be given as $1.
start_node() {
  local run=${1:-} init
  agent_port=$(free_port)
  init=("$root/bin/mcp-agent" init --dir "$scratch/agent" --node alpha --listen "127.0.0.1:$agent_port" --services "$scratch/srv" --token-file "$scratch/token")
  [ "$(id -u)" != 0 ] || init+=(--user "$METACIRCULAR_PODMAN_USER")
  $run "${init[@]}"
  [ -z "${registry:-}" ] || printf '\n[registries."%s"]\ninsecure = true\n' "$registry" >>"$scratch/agent/agent.toml"
  "$root/bin/mcp-agent" run --dir "$scratch/agent" >"$scratch/agent.log" 2>&1 &
  agent_pid=$!
  wait_for 30 grep -q '^ready:' "$scratch/agent.log" || { tail -n 20 "$scratch/agent.log"; fail "the agent did not get ready in 30 s"; }
  grep '^ready:' "$scratch/agent.log"
  $run "$mcp" node add alpha "127.0.0.1:$agent_port" --ca "$scratch/agent/ca.pem" --token-file "$scratch/token"
}
