#!/bin/sh
# Prints running, success or failed for a Volcano Job. Written from the documentation; see submit-volcano.sh.
phase=$(kubectl get "$1" -o jsonpath='{.status.state.phase}' 2>&1)
case $phase in
  Completed) echo success ;;
  Failed | Aborted | Terminated | Aborting | Terminating | *NotFound*) echo failed ;;
  *) echo running ;; # an API server that does not answer says nothing about the job
esac
