"""Tests of the simulation behind `canary policy report`."""
