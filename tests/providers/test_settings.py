"""Settings of providers are judged by type and form when the estate is validated, and again when it connects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import providers
from reconciler.agency import Agency
from reconciler.errors import ProviderError
from reconciler.providers import _settings

LITE, ZONES = {"database": "sqlite:///x"}, {"directory": "zones"}
KEY = {"name": "reconciler", "secret": "Z2VoZWlt"}
PRIMARY = {"server": "ns1.agency.example", "identity": "reconciler.agency.example", "key": KEY}
POWER = {"url": "http://127.0.0.1:8081", "key": "x"}
API = {"url": "http://[::1]:8080", "api_key": {"env": "KEY"}}
OCTO: dict[str, Any] = {"class": "octodns_x.XProvider", "identity": "reconciler.agency.example", "settings": {}}
WRONG: list[tuple[str, dict[str, Any], tuple[str | int, ...]]] = [
    ("zone_files", {"directory": 5}, ("directory",)),
    ("zone_files", {"directory": ""}, ("directory",)),
    ("zone_files", {"directory": ["zones"]}, ("directory",)),
    ("zone_files", {"directory": {"env": 5}}, ("directory",)),
    ("zone_files", {"directory": {"env": "A", "file": "B"}}, ("directory",)),
    ("zone_files", {**ZONES, "nameservers": "ns1.agency.example"}, ("nameservers",)),
    ("zone_files", {**ZONES, "nameservers": []}, ("nameservers",)),
    ("zone_files", {**ZONES, "nameservers": {"env": "X"}}, ("nameservers",)),
    ("zone_files", {**ZONES, "nameservers": ["ns1.agency.example", 5]}, ("nameservers", 1)),
    ("zone_files", {**ZONES, "nameservers": ["ns 1"]}, ("nameservers", 0)),
    ("zone_files", {**ZONES, "nameservers": [".".join(["a" * 60] * 5)]}, ("nameservers", 0)),
    ("zone_files", {**ZONES, "reload": ["nsd"]}, ("reload",)),
    ("zone_files", {**ZONES, "reload": "rm"}, ("reload",)),
    ("zone_files", {**ZONES, "reload": "nsd", "control": True}, ("control",)),
    ("powerdns", {**POWER, "url": 5}, ("url",)),
    ("powerdns", {**POWER, "url": "127.0.0.1:8081"}, ("url",)),
    ("powerdns", {**POWER, "url": "http://x:geheim"}, ("url",)),
    ("powerdns", {**POWER, "key": 5}, ("key",)),
    ("powerdns", {**POWER, "key": "geheim\n"}, ("key",)),
    ("powerdns", {**POWER, "kind": "Secondary"}, ("kind",)),
    ("powerdns", {**POWER, "server_id": ""}, ("server_id",)),
    ("powerdns", {**POWER, "nameservers": ["ns 1"]}, ("nameservers", 0)),
    ("powerdns", {**POWER, "trust_serials": "on"}, ("trust_serials",)),
    ("postfix_dovecot", {"database": 5}, ("database",)),
    ("postfix_dovecot", {"database": "mail.sqlite"}, ("database",)),
    ("postfix_dovecot", {"database": "mysql://geheim@[::1/x"}, ("database",)),
    ("postfix_dovecot", {**LITE, "password": 12345}, ("password",)),
    ("postfix_dovecot", {**LITE, "login_block": {"side_table": True}}, ("login_block",)),
    ("postfix_dovecot", {**LITE, "doveadm": "http://127.0.0.1"}, ("doveadm",)),
    ("postfix_dovecot", {**LITE, "doveadm": {"url": "http://x"}}, ("doveadm",)),
    ("postfix_dovecot", {**LITE, "doveadm": {**API, "key": "x"}}, ("doveadm",)),
    ("postfix_dovecot", {**LITE, "doveadm": {**API, "api_key": 5}}, ("doveadm", "api_key")),
    ("postfix_dovecot", {**LITE, "doveadm": {**API, "url": "ftp://x"}}, ("doveadm", "url")),
    ("postfix_dovecot", {**LITE, "doveadm": {**API, "url": "http://x:geheim"}}, ("doveadm", "url")),
    ("rfc2136", {**PRIMARY, "server": 53}, ("server",)),
    *(
        ("rfc2136", {**PRIMARY, "server": server}, ("server",))
        for server in (
            "ns1:0",
            "ns1:99999",
            "ns1:geheim",
            "a b",
            "u:geheim@ns1",
            "ns1/x",
            "[::1",
            "[::1]x",
            ":53",
            "a..b",
        )
    ),
    ("rfc2136", {**PRIMARY, "identity": ["a.example"]}, ("identity",)),
    ("rfc2136", {**PRIMARY, "identity": "not a zone"}, ("identity",)),
    ("rfc2136", {**PRIMARY, "key": "geheim"}, ("key",)),
    ("rfc2136", {**PRIMARY, "key": {"env": "KEY"}}, ("key",)),
    ("rfc2136", {**PRIMARY, "key": {"name": "reconciler"}}, ("key",)),
    ("rfc2136", {**PRIMARY, "key": {**KEY, "algorithm": "hmac-md5"}}, ("key", "algorithm")),
    ("rfc2136", {**PRIMARY, "key": {**KEY, "name": "two words"}}, ("key", "name")),
    ("rfc2136", {**PRIMARY, "key": {**KEY, "name": 5}}, ("key", "name")),
    ("rfc2136", {**PRIMARY, "key": {**KEY, "secret": "geheim!"}}, ("key", "secret")),
    ("rfc2136", {**PRIMARY, "key": {**KEY, "secret": 12345}}, ("key", "secret")),
    *(
        ("octodns", {**OCTO, "class": path}, ("class",))
        for path in (
            5,
            "",
            "XProvider",
            "octodns",
            "os.system",
            "yaml.octodns_x.X",
            "octodns_x.",
            "octodns_x..X",
            "octodns-x.X",
        )
    ),
    ("octodns", {**OCTO, "identity": "geheim"}, ("identity",)),
    ("octodns", {**OCTO, "identity": 5}, ("identity",)),
    *(("octodns", {**OCTO, "settings": given}, ("settings",)) for given in ("geheim", ["geheim"], None, {"env": "X"})),
    ("octodns", {**OCTO, "settings": {"id": "geheim"}}, ("settings", "id")),
    ("memory", {"file": 5}, ("file",)),
    ("memory", {"side": "both"}, ("side",)),
]
RIGHT = [
    ("zone_files", {"directory": {"env": "ZONES"}, "reload": {"file": "which"}, "control": "/etc/nsd/nsd.conf"}),
    (
        "zone_files",
        {**ZONES, "nameservers": ["ns1.agency.example.", "ns2.Bücher.example", "localhost"], "reload": "nsd"},
    ),
    ("powerdns", {"url": {"env": "URL"}, "key": {"file": "key"}, "kind": "Primary"}),
    ("powerdns", {"url": "https://[2001:db8::1]/dns/", "key": {"env": "KEY"}, "server_id": "localhost"}),
    ("postfix_dovecot", {"database": {"env": "URL"}, "password": {"file": "pw"}, "login_block": "lock_hash"}),
    ("postfix_dovecot", {"database": "postgresql://u:p%40@[::1]:5432/mail?sslmode=require", "doveadm": API}),
    ("postfix_dovecot", {**LITE, "doveadm": {"url": {"env": "URL"}, "api_key": {"file": "key"}}}),
    *(
        ("rfc2136", {**PRIMARY, "server": server})
        for server in (
            "192.0.2.1",
            "192.0.2.1:5353",
            "::1",
            "[2001:db8::1]",
            "[2001:db8::1]:5353",
            "NS1.Bücher.example.",
        )
    ),
    ("rfc2136", {**PRIMARY, "server": {"env": "NS"}, "key": {"name": "Key.Agency_1.", "secret": {"file": "tsig"}}}),
    ("rfc2136", {**PRIMARY, "key": {**KEY, "algorithm": "hmac-sha512"}}),
    ("octodns", {**OCTO, "class": "octodns.provider.yaml.X", "settings": {"token": {"env": "T"}, "zones": ["a"]}}),
    ("memory", {"file": "world.json", "side": "dns"}),
]


def found(type_: str, settings: dict[str, Any]) -> list[Any]:
    module = providers.module(type_)
    side = "dns" if module is not None and module.SIDE == "dns" else "mail"
    return list(_settings.check(Agency({"providers": {side: {"it": {"type": type_, **settings}}}})))


@pytest.mark.parametrize(("type_", "settings", "path"), WRONG)
def test_a_setting_of_the_wrong_type_is_found(
    type_: str, settings: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    """At its place, without its value, and connecting with it is refused."""
    (finding,) = found(type_, settings)
    assert (finding.code, finding.origin.path[3:]) == ("IN226", path)
    assert "geheim" not in finding.detail
    with pytest.raises(ProviderError):
        providers.connect("it", type_, settings, "/")


@pytest.mark.parametrize(("type_", "settings"), RIGHT)
def test_settings_that_can_be_are_fine(type_: str, settings: dict[str, Any]) -> None:
    """What stands in the environment or a file is known later."""
    assert found(type_, settings) == []


VALUES = st.recursive(
    st.one_of(
        st.text(max_size=12), st.integers(), st.booleans(), st.sampled_from(["http://[::1]", "sqlite:///x", "nsd"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["env", "file", "url", "api_key", "name", "secret"]), inner, max_size=3),
    ),
    max_leaves=5,
)


@pytest.mark.fuzz
@given(st.sampled_from(providers.types()), st.data())
def test_no_setting_makes_it_crash(type_: str, data: Any) -> None:
    """Whatever YAML can say becomes findings, and without any it connects."""
    module = providers.module(type_)
    names = sorted((module.REQUIRED | module.OPTIONAL) - {"read_only"})
    settings = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES)))
    if not found(type_, settings) and not any(isinstance(value, dict) for value in settings.values()):
        providers.connect("it", type_, settings, "/").close()
