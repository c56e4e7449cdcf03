#!/bin/sh
# Deploys a version, lets the controller in the cluster roll it out, and handles each outcome:
#
#   ./start.sh reviews v2
#
# DEPLOY    command that deploys the new version beside the one that serves, without traffic
# NOTIFY    command that gets one sentence for users
# NAMESPACE namespace of the Canary
#
# Ends with the exit code of `canary start --wait`. If this job is lost, the controller continues; if it is started again,
# the job waits for the same rollout. If another tool, such as Argo CD, sets `version: v2` in the cluster, use
# `canary wait reviews --for-version v2` instead of `canary start`.
set -u
name=${1:?usage: start.sh CANARY VERSION}
version=${2:?usage: start.sh CANARY VERSION}
: "${DEPLOY:=kubectl apply -f deploy/}" "${NOTIFY:=echo}" "${NAMESPACE:=default}" "${TIMEOUT:=2h}"

$DEPLOY || { $NOTIFY "$name: not deployed, no traffic was moved"; exit 1; }

canary start "$name" --version "$version" -n "$NAMESPACE" --wait --timeout "$TIMEOUT" --on-timeout rollback
code=$?

case $code in
    0) $NOTIFY "$name: $version serves everything" ;;
    1) $NOTIFY "$name: not found, or nothing could be read; the log says what" ;;
    2) $NOTIFY "$name: its spec is invalid, see canary describe; no traffic was moved" ;;
    3) $NOTIFY "$name: $version was rolled back, or failed before (canary start --retry tries it again)" ;;
    4) $NOTIFY "$name: $version wasn't finished in $TIMEOUT; it was rolled back if it had started" ;;
    5) $NOTIFY "$name: waits for canary approve; run this job again afterwards" ;; # with --no-wait-approval
    6) $NOTIFY "$name: $version was rejected or rolled back by a person" ;;
    7) $NOTIFY "$name: another version or build took the place of $version" ;;
    8) $NOTIFY "$name: OUTCOME UNKNOWN, look at canary describe and at the controller" ;;
    9) $NOTIFY "$name: deleted or suspended" ;;
    10) $NOTIFY "$name: another Canary or a canary run moves its target" ;;
    11) $NOTIFY "$name: $version serves everything, but this build was never judged" ;; # --allow-unanalysed accepts it
    130) $NOTIFY "$name: this job was interrupted, the controller continues" ;;
    *) $NOTIFY "$name: canary start ended with $code" ;;
esac
exit $code
