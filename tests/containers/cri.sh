# shellcheck shell=bash
# shellcheck disable=SC2154 # work, here, programs, cgroup, ipv4 and ipv6 are set by `run`
# containerd by its CRI plug-in, as kubelet calls it: pods with names, namespaces and annotations. Sourced by `run`.
# Every pod is its sandbox alone, whose image is the test's own; the client is curl, which speaks what gRPC is made of.

# shellcheck source=tests/containers/daemon.sh
source "$here/daemon.sh"

runtime_up() {
    containerd_up "
  sandbox_image = 'local.test/deathstar:1'
  [plugins.'io.containerd.grpc.v1.cri'.cni]
    bin_dir = '$work/plugins'
    conf_dir = '/etc/cni/net.d'
  [plugins.'io.containerd.grpc.v1.cri'.containerd]
    snapshotter = 'native'"
}
image_in() {
    import "$1" "$2" '{"Entrypoint": ["/deathstar", "serve"]}'
    until_true 'CRI knows the image' cri_has_image "$2"
}

c() { ctr --address "$work/containerd.sock" --namespace k8s.io "$@"; }

# proto NUMBER TEXT: one field of a protobuf message, for strings and messages without zero bytes.
proto() {
    local LC_ALL=C length size tag
    printf -v tag '\\x%x' $(($1 << 3 | 2))
    length=${#2} size=
    while ((length > 127)); do
        printf -v size '%s\\x%x' "$size" $((length & 127 | 128))
        length=$((length >> 7))
    done
    printf -v size '%s\\x%x' "$size" "$length"
    printf '%b%s' "$tag$size" "$2"
}
pair() { proto "$1" "$(proto 1 "$2")$(proto 2 "$3")"; }

# cri SERVICE/METHOD MESSAGE: the answer's bytes on standard output; what gRPC says otherwise, and failure.
cri() {
    local LC_ALL=C request head status message length
    request=$(mktemp -p "$work") head=$(mktemp -p "$work")
    length=${#2}
    printf '%b%s' "\\0$(printf '\\x%02x' $((length >> 24 & 255)) $((length >> 16 & 255)) $((length >> 8 & 255)) $((length & 255)))" "$2" >"$request"
    curl --silent --show-error --max-time 60 --http2-prior-knowledge --unix-socket "$work/containerd.sock" --dump-header "$head" \
        -H 'content-type: application/grpc' -H 'te: trailers' --data-binary "@$request" "http://localhost/runtime.v1.$1"
    status=$(sed -nE 's/^grpc-status: ([0-9]+).*/\1/p' "$head")
    message=$(sed -nE 's/^grpc-message: (.*)/\1/p' "$head" | tr -d '\r')
    rm -f "$request" "$head"
    [[ $status == 0 ]] || { printf 'CRI %s: %s %s\n' "$1" "$status" "$message" >&2; return 1; }
}
cri_has_image() { cri ImageService/ImageStatus "$(proto 1 "$(proto 1 "$1")")" | grep -q "$1"; }

# pod NAME LABELS: runs a sandbox; its id goes to a file. Labels come by the pod's annotation, as from kubelet.
pod_namespace=default
pod() {
    local metadata linux answer
    metadata=$(proto 1 "$1")$(proto 2 "uid-$1")$(proto 3 "$pod_namespace")
    linux=$(proto 1 "$cgroup")
    answer=$(cri RuntimeService/RunPodSandbox "$(proto 1 "$(proto 1 "$metadata")$(proto 2 "$1")$(pair 6 app "$1")$(pair 7 ciliate.io/labels "$2")$(proto 8 "$linux")")" | tr -d '\0') || return 1
    grep -oE '[0-9a-f]{64}' <<<"$answer" >"$work/pod-$1"
}
id_of() { cat "$work/pod-$1"; }

start() { pod "$1" "$2"; }
start_failing() { start "$@"; }
once() {
    local name=$1 labels=$2 status=0
    shift 2
    pod "$name" "$labels"
    # Of what is executed in a task, ctr loses the output now and then; the pod's network is what counts.
    nsenter --net="$(netns_of "$name")" deathstar "$@" || status=$?
    stop "$name"
    return "$status"
}
stop() {
    cri RuntimeService/StopPodSandbox "$(proto 1 "$(id_of "$1")")" >/dev/null
    cri RuntimeService/RemovePodSandbox "$(proto 1 "$(id_of "$1")")" >/dev/null
}
stop_again() {
    # The call that may be repeated; the plug-in's is repeated as kubelet does after a crash.
    cri RuntimeService/RemovePodSandbox "$(proto 1 "$(id_of "$1")")" >/dev/null
    cni DEL CNI_CONTAINERID="$(id_of "$1")" CNI_IFNAME=eth0
}

endpoint_name() { printf '%s/%s' "$pod_namespace" "$1"; }

netns_of() { c task ls | awk -v id="$(id_of "$1")" '$1 == id { printf "/proc/%s/ns/net", $2 }'; }

check_endpoint() {
    local netns
    netns=$(netns_of "$1")
    local who=(CNI_CONTAINERID="$(id_of "$1")" CNI_IFNAME=eth0 CNI_NETNS="$netns")
    extra=", \"prevResult\": {\"ips\": [{\"address\": \"$ipv4/32\"}]}" cni CHECK "${who[@]}"
    extra=", \"prevResult\": {\"ips\": [{\"address\": \"192.0.2.9/32\"}]}" fails 101 192.0.2.9 cni CHECK "${who[@]}"
}

runtime_extra() {
    title 'The namespace and the name are the pod'"'"'s'
    pod_namespace=fleet
    start one org=empire
    listed one k8s:io.kubernetes.pod.namespace=fleet
    listed one k8s:org=empire
    listed one k8s:network=ciltest
    local status
    status=$(cri RuntimeService/PodSandboxStatus "$(proto 1 "$(id_of one)")" | tr -d '\0')
    [[ $status == *"$(field one ipv4)"* ]] || wrong 'CRI should tell the address of the endpoint'
    title 'Many pods at once'
    local number calls=()
    for number in {1..6}; do
        start "ship$number" "org=fleet,number=$number" &
        calls+=($!)
    done
    wait "${calls[@]}"
    [[ $(endpoints) -eq 7 ]] || wrong "7 endpoints should be there: $(ciliate endpoint list)"
    calls=()
    for number in {1..6}; do
        stop "ship$number" &
        calls+=($!)
    done
    wait "${calls[@]}"
    stop one
    until_true 'all endpoints are gone' no_endpoints
}
