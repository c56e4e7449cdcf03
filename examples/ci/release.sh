#!/bin/sh
# Deploys a version, moves traffic to it, and acts on how that ended:
#
#   ./release.sh reviews.yaml
#
# DEPLOY    puts the new version beside the one that serves; nobody is sent to it yet
# NOTIFY    is given one sentence for people
# NAMESPACE is the target's
#
# Ends with the code of `canary run`. A job that is lost on the way is taken up by the next one.
set -u
manifest=${1:?usage: release.sh MANIFEST}
: "${DEPLOY:=kubectl apply -f deploy/}" "${NOTIFY:=echo}" "${NAMESPACE:=default}"

$DEPLOY || { $NOTIFY "$manifest: not deployed, no traffic was moved"; exit 1; }

# Another job that runs is waited for; with a time-out of its own, the job ends before CI would kill it.
canary run -f "$manifest" -n "$NAMESPACE" --wait-for-lock 30m --timeout 2h --on-timeout rollback
code=$?

case $code in
    0) $NOTIFY "$manifest: promoted" ;;
    1) $NOTIFY "$manifest: could not begin, or an internal error; try again" ;;
    2) $NOTIFY "$manifest: wrong, see canary lint; no traffic was moved" ;;
    3) $NOTIFY "$manifest: rolled back, or failed before; the log says why (canary run --retry tries it again)" ;;
    4) $NOTIFY "$manifest: not done in 2h, rolled back" ;;
    5) $NOTIFY "$manifest: waits for canary approve; run this job again afterwards" ;; # with --no-wait-approval
    6) $NOTIFY "$manifest: rejected or rolled back by a person, or this job was cancelled" ;;
    7) $NOTIFY "$manifest: another version took its place" ;;
    8) $NOTIFY "$manifest: OUTCOME UNKNOWN, look at canary status and at the route" ;;
    9) $NOTIFY "$manifest: suspended, no traffic was moved" ;;
    10) $NOTIFY "$manifest: another run held the target for 30m; its owner is in the log" ;;
    130) $NOTIFY "$manifest: interrupted, traffic stays where it is; run this job again" ;;
    *) $NOTIFY "$manifest: canary run ended with $code" ;;
esac
exit $code
