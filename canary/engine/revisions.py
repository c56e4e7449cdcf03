"""The revision of a target that has a primary: `<build>`, or `<build>-<configuration>` where its pods read some.

The build is what the target's controller calls its pod template; it has no hyphen.
"""


def revision_of(build: str, configuration: str) -> str:
    """Of a build with what its pods read; the configuration is empty where that is nothing."""
    return f"{build}-{configuration}" if build and configuration else build


def build_of(revision: str) -> str:
    """Without the configuration."""
    return revision.partition("-")[0]


def rest_of(revision: str) -> str:
    """The configuration; of a target that is a Service, the build of the pods that it selects."""
    return revision.partition("-")[2]


def configured(revision: str) -> bool:
    """Whether its pods read configuration, which is that of the time at which they were started."""
    return "-" in revision
