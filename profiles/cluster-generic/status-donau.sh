#!/bin/sh
# Prints running, success or failed for a Donau job. Written from its documentation, never run here.
case $(djob -D -o state "$1" 2> /dev/null | tail -n 1 | tr '[:lower:]' '[:upper:]') in
  SUCCEEDED) echo success ;;
  PENDING | WAITING | RUNNING | SUSPENDED | STARTING | STOPPING) echo running ;;
  *) echo failed ;;
esac
