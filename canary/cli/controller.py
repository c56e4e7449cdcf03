"""`canary controller`: reconciles the Canaries of a cluster; each option is an environment variable as well."""

import faulthandler
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from canary.api.duration import parse
from canary.cli import heeded
from canary.cli.problems import CommandProblem, UsageProblem
from canary.controller.logs import Format, Level, set_up
from canary.controller.report_secrets import secrets_from
from canary.controller.settings import Area, Settings
from canary.engine.errors import CanaryError, Invalid
from canary.kube.client import ClusterAccess

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def _option(name: str, text: str, *names: str) -> Any:
    """An option that is an environment variable as well."""
    return typer.Option(*names, envvar=f"CANARY_{name}", show_envvar=True, help=text)


def command(
    call: typer.Context,
    namespace: Annotated[
        str, _option("NAMESPACE", "Reconcile one namespace only; default: all.", "--namespace", "-n")
    ] = "",
    selector: Annotated[
        str, _option("SELECTOR", "Reconcile only Canaries with these labels: a shard.", "--selector", "-l")
    ] = "",
    cross_namespace: Annotated[
        bool, _option("CROSS_NAMESPACE", "Allow Canaries to move routes of other namespaces.")
    ] = False,
    metrics_server: Annotated[
        str | None, _option("METRICS_SERVER", "URL of the Prometheus for Canaries that name none.")
    ] = None,
    allowed_metrics_servers: Annotated[
        str,
        _option(
            "ALLOWED_METRICS_SERVERS",
            "Prefixes of addresses that Canaries and templates may name, separated by commas; `*` for all. "
            "--metrics-server may always be named; default: no other address.",
        ),
    ] = "",
    listen: Annotated[str, _option("LISTEN", "HOST:PORT for metrics and probes.")] = "127.0.0.1:8080",
    lease: Annotated[str, _option("LEASE", "Name of the Lease for leader election.")] = "canary",
    lease_namespace: Annotated[
        str, _option("LEASE_NAMESPACE", "Namespace of the Lease; default: that of the pod, else `default`.")
    ] = "",
    lease_duration: Annotated[
        str, _option("LEASE_DURATION", "Lease duration of the leader election; whole seconds, at least 6s.")
    ] = "15s",
    workers: Annotated[
        int, _option("WORKERS", "Number of Canaries that are reconciled at the same time.", "--workers")
    ] = 16,
    resync: Annotated[str, _option("RESYNC", "Interval at which Canaries at rest are reconciled.")] = "10m",
    qps: Annotated[float, _option("QPS", "Average rate of requests to the API server, per second.")] = 200.0,
    burst: Annotated[int, _option("BURST", "Burst of requests to the API server.")] = 400,
    action_policy: Annotated[
        str, _option("ACTION_POLICY", "Name of the ValidatingAdmissionPolicy that verifies authors of actions.")
    ] = "",
    cluster_name: Annotated[str, _option("CLUSTER_NAME", "Name of the cluster in alerts.")] = "",
    log_format: Annotated[Format, _option("LOG_FORMAT", "Log format, on standard error.")] = Format.TEXT,
    log_level: Annotated[Level, _option("LOG_LEVEL", "Log level.")] = Level.INFO,
    context: Annotated[str | None, _option("CONTEXT", "Context of the kubeconfig; default: the current one.")] = None,
    kubeconfig: Annotated[
        str | None,
        _option("KUBECONFIG", "Path of a kubeconfig; default: KUBECONFIG, then the service account of the pod."),
    ] = None,
) -> int:
    """Reconcile the Canaries of a cluster. One replica is the leader and moves traffic; the others stand by.

    With CANARY_HOOKS_TOKEN or CANARY_HOOKS_KEY (or the same with _FILE) it accepts alerts of other systems at
    /hooks/alertmanager, /hooks/falco and /hooks/generic.

    At SIGTERM it finishes its current writes and exits with 0. It exits with 1 if the cluster can't be used, and
    with 2 for wrong settings.
    """
    set_up(log_format, log_level, sys.stderr)
    faulthandler.register(signal.SIGUSR1)  # where each thread is, on standard error
    try:
        settings = Settings(
            access=ClusterAccess(kubeconfig=kubeconfig, context=context, namespace=namespace or None),
            area=Area(namespace, selector, metrics_server, cross_namespace, allowed_metrics_servers),
            listen=listen,
            lease=lease,
            lease_namespace=lease_namespace or _own_namespace(),
            lease_duration=_duration("--lease-duration", lease_duration),
            workers=workers,
            resync=_duration("--resync", resync),
            qps=qps,
            burst=burst,
            action_policy=action_policy,
            cluster_name=cluster_name,
            report_secrets=secrets_from(os.environ),
        )
        _serve(settings)
    except Invalid as error:
        raise UsageProblem(_as_written(str(error), call)) from error
    except CanaryError as error:
        raise CommandProblem(str(error)) from error
    return 0


def _serve(settings: Settings) -> None:
    """Until a signal ends it."""
    from canary.controller.process import service as controller  # imports `kubernetes`, which takes a while

    with controller(settings) as service:
        # In a thread, because the handler may have interrupted who holds the lock that `stop` takes.
        for number in heeded():
            signal.signal(number, lambda *_: threading.Thread(target=service.stop).start())
        service.run()
    _leave()


def _leave() -> None:
    """At once where a thread is left: it waits for an answer that doesn't come, and the interpreter would join it."""
    if any(not each.daemon for each in threading.enumerate() if each is not threading.main_thread()):
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def _own_namespace() -> str:
    """Of the pod."""
    with suppress(OSError):
        return ACCOUNT.read_text("utf-8").strip() or "default"
    return "default"


def _duration(option: str, text: str) -> timedelta:
    """Raises Invalid."""
    try:
        return parse(text)
    except ValueError as error:
        raise Invalid(f"{option}: {error}") from error


def _as_written(sentence: str, call: typer.Context) -> str:
    """About the variable, where an option was given by that."""
    option, colon, what = sentence.partition(": ")
    name = option.removeprefix("--").replace("-", "_")
    source = call.get_parameter_source(name)
    return f"CANARY_{name.upper()}{colon}{what}" if source and source.name == "ENVIRONMENT" else sentence
