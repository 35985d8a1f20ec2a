"""Opening the models of a pipeline or a suite, each with its layers."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from tts.backends.base import Backend, Provider
from tts.errors import ConfigError
from tts.layers.concurrency import Permits
from tts.layers.stack import Stack, build_stack, open_cache

__all__ = ["open_stacks"]


@asynccontextmanager
async def open_stacks(
    models: Mapping[str, Provider],
    concurrency: int | None,
    mistake: Callable[[str, str], ConfigError],
) -> AsyncIterator[dict[str, Stack]]:
    """Open models, and close them on the way out.

    Args:
        models: Their settings by name.
        concurrency: Most calls in flight of all together; None leaves it to each.
        mistake: Makes the error of a message and the name of the model that cannot be opened.

    Raises:
        ConfigError: If a model cannot be opened.
    """
    shared = None if concurrency is None else Permits(concurrency)
    async with AsyncExitStack() as opened:
        stacks = {}
        for name, provider in models.items():
            try:
                store = opened.enter_context(open_cache(provider))
                backend = await opened.enter_async_context(_opened(provider))
                stacks[name] = build_stack(provider, backend, shared, store)
            except ConfigError as error:
                raise mistake(error.message, name) from error
        yield stacks


def _opened(provider: Provider) -> AbstractAsyncContextManager[Backend]:
    context = provider.open()
    if isinstance(context, AbstractAsyncContextManager):
        return context
    if inspect.iscoroutine(context):
        context.close()
    raise ConfigError(
        f"{type(provider).__name__}.open() must return an async context manager: "
        "decorate it with @contextlib.asynccontextmanager and yield the backend"
    )
