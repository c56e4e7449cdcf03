"""The load tester, as hooks see it."""
