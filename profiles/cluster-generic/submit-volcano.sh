#!/bin/sh
# Submit one Snakemake job as a Volcano Job and print its name. Written from the documentation; only a kubectl that
# imitates it has been run.
#
#     submit-volcano.sh RULE NPUS_PER_NODE CPUS MEM_MB MINUTES JOBSCRIPT
#
# IMAGE must hold this environment, CLAIM a volume with the working directory at the same path.
set -eu
rule=$1 npus=$2 cpus=$3 mem=$4 minutes=$5 script=$6
: "${IMAGE:?image that holds the environment}" "${CLAIM:?persistent volume claim that holds the working directory}"
limits="cpu: '$cpus', memory: ${mem}Mi"
[ "$npus" = 0 ] || limits="$limits, huawei.com/Ascend910: $npus"
kubectl create -o name -f - << EOF
apiVersion: batch.volcano.sh/v1alpha1
kind: Job
metadata: {generateName: $(echo "$rule" | tr '[:upper:]_' '[:lower:]-')-} # groups are called GROUP
spec:
  schedulerName: volcano
  minAvailable: 1
  maxRetry: 0
  tasks:
    - replicas: 1
      name: job
      template:
        spec:
          restartPolicy: Never
          activeDeadlineSeconds: $((minutes * 60))
          volumes: [{name: work, persistentVolumeClaim: {claimName: $CLAIM}}]
          containers:
            - name: job
              image: $IMAGE
              workingDir: $PWD
              command: [sh, $script]
              volumeMounts: [{name: work, mountPath: $PWD}]
              resources: {limits: {$limits}, requests: {$limits}}
EOF
