#!/usr/bin/env bash
# A Ray cluster on loopback, of two nodes and one without a folder, used by test_cluster.py in its own namespaces
# The cluster's processes end with the namespace.
set -euo pipefail
python=$1 folder=$2 here=$(cd "$(dirname "$0")" && pwd)
ray="$(dirname "$python")/ray"
ip link set lo up
ip addr add 10.77.0.1/32 dev lo  # Ray refuses to stay on 127.0.0.1
export HOME="$folder/home" RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0 OMP_NUM_THREADS=1 TMPDIR=/tmp
mkdir -p "$HOME"
"$ray" get-auth-token --generate >/dev/null 2>&1
chmod 600 "$HOME/.ray/auth_token"

start() {
  "$ray" start --node-ip-address=10.77.0.1 --disable-usage-stats "$@" >"$folder/node.log" 2>&1 || {
    tail "$folder/node.log"
    exit 1
  }
}
start --head --port=6399 --include-dashboard=false --num-cpus=1
export ray folder
export -f start
mkdir "$folder/apart"
unshare --mount bash -c 'mount -t tmpfs none "$folder/apart" && start --address=10.77.0.1:6399 --num-cpus=1'
start --address=10.77.0.1:6399 --num-cpus=2 --num-gpus=1  # a GPU in Ray's books only
if RAY_AUTH_MODE=disabled timeout 60 "$python" -c "
import ray
ray.init(address='10.77.0.1:6399', log_to_driver=False)
print(ray.get(ray.remote(lambda: 1).remote()))" >/dev/null 2>&1; then
  echo "error: a client without the token was let in" && exit 1
fi
echo "refused without the token"
"$python" "$here/ray_on_loopback.py" 10.77.0.1:6399 "$folder"
