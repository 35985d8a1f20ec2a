"""What every remote model can be told, and how its wire is opened."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self
from urllib.request import getproxies, proxy_bypass

from pydantic import Field, field_serializer, model_validator

from tts.backends.base import EnvironmentName, Price
from tts.backends.wire.address import BaseURL, is_private, origin
from tts.backends.wire.client import Wire
from tts.backends.wire.patience import Timeouts
from tts.backends.wire.transport import Dialling, Transport
from tts.errors import ConfigError
from tts.frozen import Frozen
from tts.registry import mistake

__all__ = ["Remote", "open_transport"]

_KEY_HEADERS = {"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key"}


class Remote(Frozen):
    """Settings that all remote models share."""

    official: ClassVar[tuple[str, str]] = ("", "")
    """The provider's own host, and the variable in which its users keep their key."""

    base_url: BaseURL
    """Where the API begins, version included: https://api.openai.com/v1."""
    api_key_env: EnvironmentName | None = None
    """Environment variable that holds the key; None takes the provider's usual one at its own
    address, and sends no key to any other."""
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    """Further headers. Results and traces hold only a digest of each value."""
    price: Price | None = None
    """Dollars per million tokens; None is unknown."""
    context: Annotated[int, Field(ge=1)] | None = None
    """Most tokens of prompt and completion together; None where unknown."""
    timeouts: Timeouts = Timeouts()
    max_response_bytes: Annotated[int, Field(ge=1024)] = 8 << 20
    """A larger answer is an error."""
    allow_http: bool = False
    """Send the key and the prompts unencrypted to a public host."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's, as PEM."""
    proxy: BaseURL | None = None
    """HTTP proxy; None takes HTTPS_PROXY, HTTP_PROXY and NO_PROXY from the environment."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further fields of each request's body, for what this library has no word for."""
    omit: tuple[str, ...] = ()
    """Fields of the body to leave out, where a server refuses them."""
    always_stream: bool = False
    """Stream every call, so that a cancelled one is charged for what it had made."""

    @model_validator(mode="after")
    def _is_encrypted(self) -> Self:
        scheme, host, _ = origin(self.base_url)
        if scheme == "http" and not (is_private(host) or self.allow_http):
            message = f"http to {host} is not encrypted: use https, or set allow_http: true"
            raise mistake(type(self), ("base_url",), message, self.base_url)
        return self

    @model_validator(mode="after")
    def _names_its_key(self) -> Self:
        for name in self.headers:
            if name.lower() in _KEY_HEADERS:
                message = "a key is never written down: name its variable in api_key_env"
                raise mistake(type(self), ("headers", name), message, "***")
        return self

    @field_serializer("headers", when_used="json")
    def _digests(self, headers: dict[str, str]) -> dict[str, str]:
        """What is kept tells whether a value has changed, not what it is: gateways want secrets."""
        return {
            name: "sha256:" + sha256(f"{name}:{value}".encode()).hexdigest()[:12]
            for name, value in headers.items()
        }

    @property
    def key(self) -> str:
        """The key, or nothing.

        Raises:
            ConfigError: If the provider's own server is to be asked and its usual variable is not
                set, or if the key holds characters that no header may.
        """
        host, usual = self.official
        name = self.api_key_env or (usual if origin(self.base_url)[1] == host else "")
        key = os.environ.get(name, "").strip()
        if name and not key:
            raise ConfigError(f"{host} needs a key: export {name}, or name another in api_key_env")
        if not key.isascii() or not key.isprintable():
            raise ConfigError(f"the key in {name} is not one line of plain characters")
        return key

    @asynccontextmanager
    async def open_wire(
        self,
        transport: Transport | None = None,
        key_header: str = "authorization",
        **headers: str,
    ) -> AsyncIterator[Wire]:
        """Open the wire to the server and close it on the way out.

        Args:
            transport: Carries the requests, and is not closed; None opens one.
            key_header: The header that carries the key; `authorization` as a bearer token.
            headers: What the provider's format wants besides.

        Raises:
            ConfigError: If a file cannot be read, or the key is no header's value.
        """
        key = self.key
        sent = f"Bearer {key}" if key_header == "authorization" else key
        carrier = transport or open_transport(self.dialling)
        try:
            yield Wire(
                carrier,
                self.base_url,
                headers={**headers, **self.headers, **({key_header: sent} if key else {})},
                secret=key,
                timeouts=self.timeouts,
                max_bytes=self.max_response_bytes,
            )
        finally:
            if carrier is not transport:
                await carrier.close()

    @property
    def dialling(self) -> Dialling:
        """How connections are made."""
        proxy = self.proxy or _environment_proxy(self.base_url)
        ca_file = None if self.ca_file is None else str(self.ca_file)
        return Dialling(connect=self.timeouts.connect, ca_file=ca_file, proxy=proxy)

    def with_extras(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's body with the caller's own fields, and without what to omit."""
        merged = {**payload, **self.extra}
        return {name: value for name, value in merged.items() if name not in self.omit}


def _environment_proxy(base_url: str) -> str | None:
    scheme, host, _ = origin(base_url)
    if is_private(host) or proxy_bypass(host):
        return None
    proxy = getproxies().get(scheme)
    if proxy is not None and not proxy.startswith(("http://", "https://")):
        raise ConfigError("the proxy in the environment is no HTTP proxy: name one in proxy")
    return proxy


def open_transport(dialling: Dialling) -> Transport:
    """Return the fast transport, or the one over httpx where aiohttp is not installed.

    Raises:
        ConfigError: If the certificates cannot be read.
    """
    try:
        try:
            from tts.backends.wire.over_aiohttp import AiohttpTransport  # heavy: only when opened
        except ImportError:
            from tts.backends.wire.over_httpx import HttpxTransport, httpx_client

            return HttpxTransport(httpx_client(dialling))
        return AiohttpTransport(dialling)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"ca_file {dialling.ca_file}: {error.strerror or error}") from error
