#!/usr/bin/env bash
# test/operator.sh, but with the operator of an image, as deploy/install.yaml has it run: as PID 1, as the user 65532, on the image's
# files and read-only, with nothing else there but what a kubelet adds. Sourced, by root; needs neither a node nor a registry.
#
#   IMAGE   the image, which `make image` built

: "${WASM_ISSUER_TEST_CLUSTER:?run this under test/cluster/run.sh}" "${IMAGE:?which image?}"
OPERATOR_LOG=$CLUSTER_WORKDIR/operator.log
image=$CLUSTER_WORKDIR/image
service_account=/var/run/secrets/kubernetes.io/serviceaccount

image_fail() { echo "image-test: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || image_fail 'root is needed, to mount: sudo env "PATH=$PATH" "HOME=$HOME" make image-test'

# A part of the Deployment's pod.
pod() { kubectl get deployment wasm-issuer -n wasm-issuer -o "jsonpath=$1"; }

# What the image is by itself.
image_check() {
  local other
  grep -q '"User":"65532:65532"' "$image.json" || image_fail "its user is another: $(cat "$image.json")"
  grep -q '"Entrypoint":\["/wasm-issuer"\]' "$image.json" || image_fail "its entrypoint is another: $(cat "$image.json")"
  other=$(find "$image" -type f ! -path "$image/wasm-issuer" ! -path "$image/LICENSE" ! -path "$image/plugins/*.wasm" -size +0)
  [ -z "$other" ] || image_fail "there is more in it: $other"
  other=$(find "$image" ! -type l \( ! -user 0 -o -perm /022 -o -perm /7000 \))
  [ -z "$other" ] || image_fail "these are not root's alone: $other"
  du -cb "$image"/wasm-issuer "$image"/plugins/*.wasm | sed "s|$image||"
}

operator_install() {
  local file
  deploy/image.sh unpack "$IMAGE" "$image"
  image_check
  # The image's own, on this machine too.
  export WASM_ISSUER_BINARY=$image/wasm-issuer WASM_ISSUER_PLUGINS=$image/plugins
  kubectl apply --server-side -f crds/ -f deploy/install.yaml >/dev/null
  kubectl wait --for=condition=Established --timeout=60s \
    crd/wasmissuers.wasm-issuer.dev crd/wasmclusterissuers.wasm-issuer.dev >/dev/null
  file=$CLUSTER_WORKDIR/serviceaccount
  mkdir -p "$file"
  kubectl create token wasm-issuer -n wasm-issuer --duration 24h >"$file/token"
  kubectl config view --raw --minify -o 'jsonpath={.clusters[0].cluster.certificate-authority-data}' | base64 -d >"$file/ca.crt"
  printf wasm-issuer >"$file/namespace"
}

# The container's environment, a variable a line.
image_environment() {
  local server
  pod '{range .spec.template.spec.containers[0].env[*]}{.name}={.value}{.valueFrom.fieldRef.fieldPath}{"\n"}{end}' |
    sed -e 's/=metadata\.namespace$/=wasm-issuer/' -e 's/=metadata\.name$/=image-test/'
  server=$(kubectl config view --minify -o 'jsonpath={.clusters[0].cluster.server}')
  server=${server#https://}
  printf 'KUBERNETES_SERVICE_HOST=%s\nKUBERNETES_SERVICE_PORT=%s\n' "${server%:*}" "${server##*:}"
  echo 'WASM_ISSUER_HEALTH_ADDRESS=127.0.0.1:0' # several may be tested on one machine
}

# Run by root in namespaces of its own: mounts what the kubelet and the container's runtime would, and becomes the container.
image_enter() {
  local user=$1 device path kind
  shift
  mount --make-rprivate /
  mount --bind "$image" "$image"
  mkdir -p "$image"/{proc,dev,etc,tmp} "$image$service_account"
  mount -t proc proc "$image/proc"
  mount -t tmpfs -o mode=755 dev "$image/dev"
  for device in null zero full random urandom; do
    touch "$image/dev/$device"
    mount --bind "/dev/$device" "$image/dev/$device"
  done
  mount --bind "$CLUSTER_WORKDIR/serviceaccount" "$image$service_account"
  for path in resolv.conf hosts; do cp -L "/etc/$path" "$image/etc/$path" 2>/dev/null || touch "$image/etc/$path"; done
  # The volumes: what an emptyDir is may be written to.
  while read -r path kind; do
    mkdir -p "$image$path"
    [ -z "$kind" ] || mount -t tmpfs -o "mode=2770,gid=$user" volume "$image$path"
  done <<<"$IMAGE_VOLUMES"
  mount -o remount,bind,ro "$image"
  exec setpriv --no-new-privs env -i "${IMAGE_ENVIRONMENT[@]}" \
    "$(command -v chroot)" "--userspec=$user:$user" "--groups=$user" "$image" /wasm-issuer "$@"
}

operator_start() {
  local user args volumes name mount
  user=$(pod '{.spec.template.spec.securityContext.runAsUser}')
  [ "$(pod '{.spec.template.spec.containers[0].securityContext.readOnlyRootFilesystem}')" = true ] ||
    image_fail 'deploy/install.yaml lets the operator write to its root'
  read -ra args <<<"$(pod '{.spec.template.spec.containers[0].args[*]}')"
  mapfile -t IMAGE_ENVIRONMENT < <(image_environment)
  volumes=$(pod '{range .spec.template.spec.volumes[?(@.emptyDir)]} {.name} {end}')
  IMAGE_VOLUMES=$(while read -r name mount; do
    case $volumes in *" $name "*) echo "$mount writable" ;; *) echo "$mount" ;; esac
  done < <(pod '{range .spec.template.spec.containers[0].volumeMounts[*]}{.name} {.mountPath}{"\n"}{end}'))
  export image service_account IMAGE_VOLUMES
  (
    # Handed on as text: an array cannot be exported.
    script=$(declare -f image_enter; declare -p IMAGE_ENVIRONMENT; printf 'image_enter %q ' "$user"; printf '%q ' "${args[@]}" "$@")
    exec unshare --mount --pid --fork bash -euc "$script"
  ) >>"$OPERATOR_LOG" 2>&1 &
  image_wait "$!" "$user"
}

# Until it runs, and only if it runs as it should. OPERATOR_PID becomes what it is on this machine.
image_wait() {
  local tries status
  for ((tries = 0; tries < 100; tries++)); do
    OPERATOR_PID=$(cat "/proc/$1/task/$1/children" 2>/dev/null) && OPERATOR_PID=${OPERATOR_PID% }
    [ "$(cat "/proc/$OPERATOR_PID/comm" 2>/dev/null)" != wasm-issuer ] || break
    kill -0 "$1" 2>/dev/null || image_fail "it did not start: $(tail -n 5 "$OPERATOR_LOG")"
    sleep 0.1
  done
  status=$(cat "/proc/$OPERATOR_PID/status")
  for line in "Uid:	$2	$2	$2	$2" "Gid:	$2	$2	$2	$2" 'CapEff:	0000000000000000' 'NoNewPrivs:	1'; do
    grep -qx "$line" <<<"$status" || image_fail "it does not run as it should ($line): $status"
  done
  grep -q "^NSpid:.*	1$" <<<"$status" || image_fail "it is not PID 1: $status"
  awk '$5 == "/" { root = $6 } END { exit root !~ /(^|,)ro(,|$)/ }' "/proc/$OPERATOR_PID/mountinfo" ||
    image_fail "its root is not read-only: $(cat "/proc/$OPERATOR_PID/mountinfo")"
  echo "runs as the user $2 on a read-only root"
}
