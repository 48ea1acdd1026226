# shellcheck shell=bash
# shellcheck disable=SC2154 # work is set by `run`, c by who sources this
# containerd itself, whoever calls it. Sourced by containerd.sh and cri.sh.

# containerd_up SETTINGS: with the network of world.sh; SETTINGS are of the CRI plug-in, in TOML.
containerd_up() {
    mkdir -p "$work"/containerd /etc/cni/net.d
    network 0.4.0 >/etc/cni/net.d/10-ciltest.conflist
    cat >"$work/containerd.toml" <<TOML
version = 2
root = "$work/containerd/root"
state = "$work/containerd/state"
[grpc]
  address = "$work/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  # Without CAP_SYS_RESOURCE every sandbox dies otherwise.
  restrict_oom_score_adj = true
$1
TOML
    containerd --config "$work/containerd.toml" >"$work/containerd.log" 2>&1 &
    containerd_pid=$!
    until_true 'containerd answers' c version
}

# import ROOT TAG CONFIG: a root file system as an image with this configuration.
import() {
    local folder=$work/archive sum
    mkdir -p "$folder"
    tar -C "$1" -cf "$folder/layer.tar" .
    sum=$(sha256sum "$folder/layer.tar" | cut -d' ' -f1)
    printf '{"architecture":"amd64","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$3" "$sum" >"$folder/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$2" >"$folder/manifest.json"
    tar -C "$folder" -c manifest.json config.json layer.tar | c images import --snapshotter native - >/dev/null
}

runtime_down() {
    kill "$containerd_pid"
    wait "$containerd_pid" || true
}
