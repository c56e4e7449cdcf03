"""The worker's end: questions on standard input, answers on standard output, a line of JSON each.

The end of standard input is the end of the worker.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any


async def answer(answers: Mapping[str, Callable[..., Any]]) -> None:
    """Calls what is asked for by name, and awaits it where that is due, until nobody asks any more."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        question, details = json.loads(line)
        result = answers[question](**details)
        print(json.dumps(await result if isawaitable(result) else result), flush=True)
