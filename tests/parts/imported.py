"""What processes of `forks` have imported when they begin: the command line, and what its commands import late."""

import gc

import canary.bootstrap.canaries
import canary.bootstrap.checking
import canary.bootstrap.cluster
import canary.bootstrap.notify
import canary.bootstrap.standalone
import canary.cli.actions
import canary.cli.app
import canary.cli.controller
import canary.cli.run
import canary.cli.status
import canary.cli.wait
import canary.cli.watch
import canary.controller.process

__all__ = ["canary"]

gc.freeze()  # a collection in a fork would copy all of it
