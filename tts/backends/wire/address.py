"""Where a server is: base URLs that are safe to send a key to."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

__all__ = ["BaseURL", "is_private", "origin"]

_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def is_private(host: str) -> bool:
    """Return whether a host is this machine or on a private network, by its name alone.

    Names without a dot are taken for private: they are names of containers and local machines.

    >>> [is_private(host) for host in ("localhost", "10.0.0.7", "vllm", "api.openai.com")]
    [True, True, True, False]
    """
    try:
        address = ip_address(host)
    except ValueError:
        return "." not in host or host.lower().endswith(_PRIVATE_SUFFIXES)
    return address.is_loopback or address.is_private or address.is_link_local


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises where it is no port
    except ValueError as error:
        raise ValueError(f"is no URL: {error}") from error
    return parts


def _checked(url: str) -> str:
    parts = _parts(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("give a URL such as https://api.openai.com/v1")
    if "@" in parts.netloc:
        raise ValueError("holds a user or key: name the key's environment variable in api_key_env")
    if parts.query or parts.fragment:
        raise ValueError("ends in ? or #: give the part before it")
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError("holds spaces or control characters")
    return url.rstrip("/")


BaseURL = Annotated[str, AfterValidator(_checked)]
"""An http or https URL without key, query or fragment; a slash at its end is dropped."""


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL; a redirect may not leave them.

    Raises:
        ValueError: If it is no URL.
    """
    parts = _parts(url)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default
