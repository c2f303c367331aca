#!/bin/sh
# Prints running, success or failed for a Slurm job; a job that Slurm no longer knows has failed.
case $(scontrol show job "$1" --oneliner 2> /dev/null | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p') in
  COMPLETED) echo success ;;
  PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED | RESIZING) echo running ;;
  *) echo failed ;;
esac
