"""Our own kinds as objects of a cluster, without one."""
