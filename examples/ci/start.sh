#!/bin/sh
# Deploys a version, asks the controller in the cluster to move traffic to it, and acts on how that ended:
#
#   ./start.sh reviews v2
#
# DEPLOY    puts the new version beside the one that serves; nobody is sent to it yet
# NOTIFY    is given one sentence for people
# NAMESPACE is the Canary's
#
# Ends with the code of `canary start --wait`. The controller goes on when this job is lost; started again, the job
# waits for the same rollout. Where something else brings `version: v2` into the cluster, such as Argo CD, take
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
    2) $NOTIFY "$name: its spec is wrong, see canary describe; no traffic was moved" ;;
    3) $NOTIFY "$name: $version was rolled back, or failed before (canary start --retry tries it again)" ;;
    4) $NOTIFY "$name: $version wasn't done in $TIMEOUT; it was rolled back if it had begun" ;;
    5) $NOTIFY "$name: waits for canary approve; run this job again afterwards" ;; # with --no-wait-approval
    6) $NOTIFY "$name: $version was rejected or rolled back by a person" ;;
    7) $NOTIFY "$name: another version or build took the place of $version" ;;
    8) $NOTIFY "$name: OUTCOME UNKNOWN, look at canary describe and at the controller" ;;
    9) $NOTIFY "$name: deleted or suspended" ;;
    10) $NOTIFY "$name: another Canary or a canary run moves its target" ;;
    130) $NOTIFY "$name: this job was interrupted, the controller goes on" ;;
    *) $NOTIFY "$name: canary start ended with $code" ;;
esac
exit $code
