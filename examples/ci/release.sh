#!/bin/sh
# Deploys a version, moves traffic to it, and handles each outcome:
#
#   ./release.sh reviews.yaml v3 [REVISION]
#
# The manifest needs no template: the version (and for an EnvoyRoute the revision) comes from the command line.
#
# DEPLOY    command that deploys the new version beside the one that serves, without traffic; has VERSION, REVISION
# NOTIFY    command that gets one sentence for users
# NAMESPACE namespace of the target
# OPTIONS   more options of `canary run`, such as --no-wait-approval
#
# Ends with the exit code of `canary run`. If a job is lost, the next job continues its rollout. If a job is cancelled, the
# script forwards the signal to canary, which rolls back. CI systems signal only the shell, so start this with `exec`.
set -u
usage='usage: release.sh MANIFEST VERSION [REVISION]'
manifest=${1:?$usage}
VERSION=${2:?$usage}
REVISION=${3:-}
: "${DEPLOY:=kubectl apply -f deploy/}" "${NOTIFY:=echo}" "${NAMESPACE:=default}" "${OPTIONS:=}"
export VERSION REVISION

say() {
    $NOTIFY "$manifest, $VERSION: $1"
    if [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then echo "$VERSION: $1" >> "$GITHUB_STEP_SUMMARY"; fi
}

$DEPLOY || { say "not deployed, no traffic was moved"; exit 1; }

# --wait-for-lock waits for another job; --timeout ends this job before CI would kill it.
# canary runs in the background, because a shell handles no signal while it waits for a command in the foreground.
# shellcheck disable=SC2086 # OPTIONS are several words
canary run -f "$manifest" --version "$VERSION" ${REVISION:+--revision "$REVISION"} -n "$NAMESPACE" \
    --wait-for-lock 30m --timeout 2h --on-timeout rollback $OPTIONS &
pid=$!
cancelled=
trap 'cancelled=yes; kill -TERM "$pid" 2>/dev/null' HUP INT TERM
wait "$pid"
code=$?
while [ -n "$cancelled" ]; do # a signal ended `wait`, but not canary
    cancelled=
    wait "$pid"
    again=$?
    [ "$again" -eq 127 ] || code=$again
done

case $code in
    0) say "promoted" ;;
    1) say "could not start, or an internal error; try again" ;;
    2) say "invalid manifest, see canary lint; no traffic was moved" ;;
    3) say "rolled back, or failed before; the log says why (canary run --retry tries it again)" ;;
    4) say "not finished in 2h, rolled back" ;;
    5) say "waits for canary approve; run this job again afterwards" ;; # with --no-wait-approval
    6) say "rejected or rolled back by a person, or this job was cancelled" ;;
    7) say "another version took its place" ;;
    8) say "OUTCOME UNKNOWN, look at canary status and at the route" ;;
    9) say "suspended, no traffic was moved" ;;
    10) say "another run held the target for 30m; the log names it" ;;
    11) say "serves everything, but this build was never judged (OPTIONS=--allow-unanalysed accepts it)" ;;
    130) say "interrupted, traffic stays where it is; run this job again" ;;
    *) say "canary run ended with $code" ;;
esac
if [ -n "${GITHUB_OUTPUT:-}" ]; then echo "code=$code" >> "$GITHUB_OUTPUT"; fi
exit $code
