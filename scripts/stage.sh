# shellcheck shell=bash
# shellcheck disable=SC2154
# Sourced by the stories, inside of namespaces of their own: folders in $work, the binaries of $programs, and an internet.

mount -t tmpfs -o mode=0755 ciliate-demo "$work"
mkdir "$work/bpf" "$work/run" "$work/state"
mount -t bpf bpf "$work/bpf"
ip link set lo up
for name in $(compgen -e CILIATE_ || true); do unset "$name"; done
printf 'node-name: demo\n' >"$work/ciliate.yaml"
export CILIATE_CONFIG=$work/ciliate.yaml CILIATE_STATE_DIR=$work/state CILIATE_RUN_DIR=$work/run CILIATE_BPF_ROOT=$work/bpf/ciliate
export PATH=$programs:$PATH

# The internet of the stories: a namespace behind a port of this host, with a web server for all its sites.
outside() { nsenter --net="/proc/$internet/ns/net" "$@"; }
unshare --net sleep infinity &
internet=$!
until [[ $(readlink "/proc/$internet/ns/net") != "$(readlink /proc/self/ns/net)" ]]; do sleep 0.01; done
ip link add internet type veth peer name port netns "$internet"
ip addr add 198.51.100.1/24 dev internet
ip -6 addr add 2001:db8:5::1/64 dev internet nodad
ip link set internet up
for host in 10 11 12; do
    outside ip addr add "198.51.100.$host/24" dev port
    outside ip -6 addr add "2001:db8:5::$host/64" dev port nodad
done
outside ip link set port up
outside ip route add default via 198.51.100.1
outside ip -6 route add default via 2001:db8:5::1
outside deathstar serve --port 80 >"$work/http.log" 2>&1 &
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=twitter.com -days 2 \
    -keyout "$work/key.pem" -out "$work/certificate.pem" 2>/dev/null
outside openssl s_server -www -quiet -accept 443 -cert "$work/certificate.pem" -key "$work/key.pem" >"$work/https.log" 2>&1 &

# Names of the internet, as arguments of the stories' name server.
names=(api.twitter.com help.twitter.com www.example.com)
records=()
for host in 0 1 2; do
    records+=("--host-record=${names[host]},198.51.100.1$host,2001:db8:5::1$host,300")
done
