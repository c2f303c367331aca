#!/bin/sh
# Submit one Snakemake job as a Volcano Job and print its name. Written from the documentation; only a kubectl that
# imitates it has been run.
#
#     submit-volcano.sh RULE NPUS_PER_NODE CPUS MEM_MB MINUTES JOBSCRIPT
#
# IMAGE must hold this environment, CLAIM a volume with the working directory at the same path. NPU is the resource that
# the Ascend device plugin offers (default huawei.com/Ascend910), ACCELERATOR the nodes' accelerator-type label
# (default module-910b-8, an 800T A2), ARCH their host-arch label (default huawei-arm; huawei-x86), QUEUE Volcano's queue (default default).
set -eu
rule=$1 npus=$2 cpus=$3 mem=$4 minutes=$5 script=$6
: "${IMAGE:?image that holds the environment}" "${CLAIM:?persistent volume claim that holds the working directory}"
limits="cpu: '$cpus', memory: ${mem}Mi"
labels="app: distillery"
selector="{}"
mounts="{name: work, mountPath: $PWD}"
volumes="{name: work, persistentVolumeClaim: {claimName: $CLAIM}}"
if [ "$npus" != 0 ]; then
    limits="$limits, ${NPU:-huawei.com/Ascend910}: $npus"
    # Ascend's scheduler plugin places jobs by this label, on nodes with that one
    labels="$labels, ring-controller.atlas: ascend-910b"
    selector="{host-arch: ${ARCH:-huawei-arm}, accelerator-type: ${ACCELERATOR:-module-910b-8}}"
    # the driver lies on the node: its libraries, its tools, its version, and the tool that lists devices
    for one in driver:/usr/local/Ascend/driver dcmi:/usr/local/dcmi npu-smi:/usr/local/bin/npu-smi info:/etc/ascend_install.info; do
        volumes="$volumes, {name: ${one%%:*}, hostPath: {path: ${one#*:}}}"
        mounts="$mounts, {name: ${one%%:*}, mountPath: ${one#*:}, readOnly: true}"
    done
fi
kubectl create -o name -f - << EOF
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata:
  generateName: $(echo "$rule" | tr '[:upper:]_' '[:lower:]-')- # groups are called GROUP
  labels: {$labels}
spec:
  schedulerName: volcano
  queue: ${QUEUE:-default}
  minAvailable: 1
  maxRetry: 0
  tasks:
    - replicas: 1
      name: job
      template:
        metadata:
          labels: {$labels}
        spec:
          restartPolicy: Never
          activeDeadlineSeconds: $((minutes * 60))
          nodeSelector: $selector
          volumes: [$volumes]
          containers:
            - name: job
              image: $IMAGE
              workingDir: $PWD
              command: [sh, $script]
              volumeMounts: [$mounts]
              resources: {limits: {$limits}, requests: {$limits}}
EOF
