"""Addresses that the schema, lint and anyone who asks must agree about."""

ASKED = (
    "http://prometheus:9090",
    "https://ann:s3cret@prometheus.monitoring.svc:443/prefix/",
    "http://[::1]:65535",
    "http://my_server/a//b",
)
NOT_ASKED = (
    "http://prometheus:9090/?tenant=shop",
    "http://prometheus:9090#x",
    "http://prometheus:port",
    "http://prometheus:99999",
    "http://prometheus:0",
    "http://[::1",
    "http://ann@",
)
