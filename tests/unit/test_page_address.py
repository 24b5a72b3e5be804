"""Where `up`, `demo` and `serve` say that the page is, and what of it may stand in a log."""

from __future__ import annotations

import socket

from pydantic import SecretStr

from ops.page import base_address, page_address, page_notes, shown_address, with_page
from schemas.settings import Settings

SET = "a-token-that-somebody-has-set"


def test_a_start_without_a_token_makes_one_that_is_shown_once_and_differs_each_time() -> None:
    given = Settings(_env_file=None)
    first, second = with_page(given), with_page(given)
    assert shown_address(first, given) == page_address(first)
    assert "/#token=" in page_address(first)
    assert first.web_token != second.web_token
    assert page_notes(first)["RISKFLOW_TOKEN"] in page_address(first)


def test_a_token_that_was_set_is_never_printed() -> None:
    given = Settings(_env_file=None, web_token=SecretStr(SET))
    settings = with_page(given)
    assert settings.web_token == given.web_token
    assert shown_address(settings, given) == f"{base_address(settings)}/"
    assert SET in page_address(settings), "the browser that is opened here gets it"


def test_a_port_that_is_taken_is_gone_round_only_where_nobody_has_chosen_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        chosen = Settings(_env_file=None, web_port=port)
        assert with_page(chosen).web_port == port
        by_default = Settings(_env_file=None, web_port=port)
        by_default.model_fields_set.discard("web_port")
        assert with_page(by_default).web_port != port


def test_the_address_is_the_one_that_people_type() -> None:
    assert (
        base_address(Settings(_env_file=None, web_url="https://risk.example.org/"))
        == "https://risk.example.org"
    )
    assert base_address(Settings(_env_file=None, web_host="::1", web_port=9000)) == "http://[::1]:9000"
    assert base_address(Settings(_env_file=None, web_host="::")) == "http://[::1]:8420"
