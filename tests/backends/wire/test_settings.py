from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tts import ConfigError
from tts.backends.openai import OpenAI
from tts.backends.wire.settings import open_transport
from tts.backends.wire.transport import Dialling, Outgoing


def provider(base_url: str, **settings: Any) -> OpenAI:
    return OpenAI.model_validate({"base_url": base_url} | settings)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "http://localhost:8000/v1/",
        "http://127.0.0.1/v1",
        "http://[::1]:8000/v1",
        "http://10.1.2.3:8000",
        "http://192.168.0.7/v1",
        "http://vllm:8000/v1",
        "http://gpu.internal/v1",
    ],
)
def test_addresses_that_are_safe(url: str) -> None:
    assert provider(url).base_url == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://api.openai.com/v1", "not encrypted"),
        ("http://8.8.8.8/v1", "not encrypted"),
        ("https://user:pass@host.com/v1", "api_key_env"),
        ("https://host.com/v1?key=1", "the part before"),
        ("https://host.com/v1#x", "the part before"),
        ("ftp://host.com", "give a URL"),
        ("host.com/v1", "give a URL"),
        ("https:///v1", "give a URL"),
        ("https://host.com:port/v1", "no URL"),
        ("https://host.com/a b", "spaces"),
    ],
)
def test_addresses_that_are_not(url: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        provider(url)


def test_plain_http_to_the_world_must_be_wanted() -> None:
    assert provider("http://example.com/v1", allow_http=True).base_url == "http://example.com/v1"


def test_a_key_is_not_written_down() -> None:
    with pytest.raises(ValidationError, match="api_key_env") as caught:
        provider("https://host.com", headers={"Authorization": "Bearer sk-secret"})
    assert "sk-secret" not in str(caught.value)


def test_a_variable_that_is_not_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(ValidationError, match="NO_SUCH_KEY is not set"):
        provider("https://host.com", api_key_env="NO_SUCH_KEY")


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel"])
def test_a_key_that_no_header_can_hold_is_refused(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_KEY", key)
    with pytest.raises(ConfigError, match="A_KEY") as caught:
        _ = provider("https://host.com", api_key_env="A_KEY").key
    assert key not in str(caught.value)


def test_the_key_is_in_no_repr_and_in_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-secret")
    made = provider("https://host.com", api_key_env="A_KEY")
    request = Outgoing("POST", "https://host.com", {"authorization": "sk-secret"}, b"{}")
    dialling = Dialling(connect=1.0, proxy="http://me:sk-secret@proxy:3128")
    assert "sk-secret" not in f"{made!r} {made.settings()} {request!r} {dialling!r}"


def test_the_proxy_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "direct.com")
    assert provider("https://host.com").dialling.proxy == "http://proxy:3128"
    assert provider("https://direct.com").dialling.proxy is None
    assert provider("http://localhost:1").dialling.proxy is None
    assert provider("https://host.com", proxy="http://own:1").dialling.proxy == "http://own:1"


def test_a_proxy_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://proxy:1080")
    with pytest.raises(ConfigError, match="no HTTP proxy"):
        _ = provider("https://host.com").dialling


def test_certificates_that_cannot_be_read_are_a_config_error(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text("no certificate")
    for path in (wrong, tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match="ca_file"):
            open_transport(Dialling(connect=1.0, ca_file=str(path)))
