"""A small Istio mesh: a real API server's objects become a real Envoy's configuration, and requests are counted.

mesh.py is the door. snapshot.py reads the cluster; hosts.py, matches.py, delegation.py, routes.py and clusters.py
are what istiod does with it, without I/O; listeners.py and proxy.py are Envoy; pilot.py keeps it up to date.
load.py sends requests and notes what users got, applications.py answers them; telemetry.py and exporter.py make
Istio's metrics of Envoy's access log. bookinfo.py has objects for tests.

It is an independent reading of Istio: nothing here may import canary.istio.

Covered: http routes in order with match (uri, method, scheme, authority, headers, withoutHeaders, queryParams, port,
sourceLabels, sourceNamespace, gateways), weights, subsets, fault, retries, timeout, rewrite, redirect,
directResponse, mirror and mirrors, headers, delegate, exportTo, several VirtualServices for one host (sidecars: the
oldest counts; gateways: merged), tcp and tls routes with weights. Not covered: corsPolicy, JWT claims in header
matches, trafficPolicy of DestinationRules (load balancing, outlier detection, connection pools, TLS), ServiceEntry,
Sidecar, EnvoyFilter, WorkloadEntry, Gateway API, TCP metrics, requests from pod to pod; security objects are stored
and not enforced. A host that no one knows is 404 for everyone (no passthrough).
"""
