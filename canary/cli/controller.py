"""`canary controller`: looks after all Canaries of a cluster; each option is an environment variable as well."""

import faulthandler
import logging
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from canary import bootstrap
from canary.api.duration import parse
from canary.cli.app import Problem, UsageProblem
from canary.controller.logs import Format, Level, set_up
from canary.engine.errors import CanaryError, Invalid

SIGNALS = (signal.SIGINT, signal.SIGTERM)
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def _option(name: str, text: str, *names: str) -> Any:
    """An option that is an environment variable as well."""
    return typer.Option(*names, envvar=f"CANARY_{name}", show_envvar=True, help=text)


def command(
    call: typer.Context,
    namespace: Annotated[
        str, _option("NAMESPACE", "Look after one namespace only; all without it.", "--namespace", "-n")
    ] = "",
    selector: Annotated[
        str, _option("SELECTOR", "Only Canaries with these labels: a shard.", "--selector", "-l")
    ] = "",
    cross_namespace: Annotated[
        bool, _option("CROSS_NAMESPACE", "Let Canaries move VirtualServices of other namespaces.")
    ] = False,
    metrics_server: Annotated[
        str | None, _option("METRICS_SERVER", "URL of the Prometheus to ask where a Canary names none.")
    ] = None,
    allowed_metrics_servers: Annotated[
        str,
        _option(
            "ALLOWED_METRICS_SERVERS",
            "Addresses that Canaries and templates may name, and below, parted by commas; else all.",
        ),
    ] = "",
    listen: Annotated[str, _option("LISTEN", "HOST:PORT of metrics and probes.")] = "127.0.0.1:8080",
    lease: Annotated[str, _option("LEASE", "Name of the Lease by which replicas elect a leader.")] = "canary",
    lease_namespace: Annotated[str, _option("LEASE_NAMESPACE", "Its namespace; the pod's own, else `default`.")] = "",
    lease_duration: Annotated[
        str, _option("LEASE_DURATION", "How long a silent leader is waited for; whole seconds, 6s at least.")
    ] = "15s",
    workers: Annotated[int, _option("WORKERS", "Rollouts that are ticked side by side.", "--workers")] = 16,
    resync: Annotated[str, _option("RESYNC", "How often Canaries at rest are looked at unasked.")] = "10m",
    qps: Annotated[float, _option("QPS", "Requests to the API server a second, on average.")] = 200.0,
    burst: Annotated[int, _option("BURST", "Requests to the API server at once.")] = 400,
    action_policy: Annotated[
        str, _option("ACTION_POLICY", "Name of the ValidatingAdmissionPolicy that proves authors of actions.")
    ] = "",
    log_format: Annotated[Format, _option("LOG_FORMAT", "Form of the log on standard error.")] = Format.TEXT,
    log_level: Annotated[Level, _option("LOG_LEVEL", "What is logged.")] = Level.INFO,
    context: Annotated[str | None, _option("CONTEXT", "Of the kubeconfig; else the current one.")] = None,
    kubeconfig: Annotated[
        str | None, _option("KUBECONFIG", "A kubeconfig; else KUBECONFIG, else the pod's own account.")
    ] = None,
) -> int:
    """Look after the Canaries of a cluster: the leader of several replicas moves traffic, the others stand by.

    Ends on SIGTERM with 0, after the writes in hand; with 1 where the cluster can't be used, 2 for wrong settings.
    """
    set_up(log_format, log_level, sys.stderr)
    faulthandler.register(signal.SIGUSR1)  # where each thread is, on standard error
    try:
        settings = bootstrap.Settings(
            place=bootstrap.Place(kubeconfig=kubeconfig, context=context, namespace=namespace or None),
            area=bootstrap.Area(namespace, selector, metrics_server, cross_namespace, allowed_metrics_servers),
            listen=listen,
            lease=lease,
            lease_namespace=lease_namespace or _own_namespace(),
            lease_duration=_duration("--lease-duration", lease_duration),
            workers=workers,
            resync=_duration("--resync", resync),
            qps=qps,
            burst=burst,
            action_policy=action_policy,
        )
        _serve(settings)
    except Invalid as error:
        raise UsageProblem(_as_written(str(error), call)) from error
    except CanaryError as error:
        raise Problem(str(error)) from error
    return 0


def _serve(settings: bootstrap.Settings) -> None:
    """Until a signal ends it."""
    with bootstrap.controller(settings) as service:
        # In a thread, because the handler may have interrupted who holds the lock that `stop` takes.
        for number in SIGNALS:
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
    try:
        return ACCOUNT.read_text("utf-8").strip() or "default"
    except OSError:
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
