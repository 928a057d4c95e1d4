"""What a scenario leaves open, alike in every world: MACs, addresses of links and clients, forged adverts."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Final, NamedTuple

from vrrpsim.protocol.addresses import cached
from vrrpsim.protocol.ah import sealed
from vrrpsim.protocol.configuration import GROUP4, GROUP6, Address, Authentication, AuthType
from vrrpsim.protocol.dialect import DIALECTS
from vrrpsim.protocol.packet import Advertisement, authentication_data, encode

from .events import InjectedAdvert
from .model import Interface, Scenario, once

STRANGER_MAC = b"\x02\0\x02\0\0\x01"  # of the card that forged adverts come from
STRANGER: Final = 200  # its number among the clients, where a segment has no subnet


def card(scenario: Scenario, node: str, interface: str, rank: int | None = None) -> bytes:
    """The MAC of a node's interface: its own, else one that tells the node and the interface by number.

    `rank` is the node's number, where somebody knows it.
    """
    model = scenario.nodes[node].interfaces[interface]
    if model.mac:
        return bytes.fromhex(model.mac.replace(":", ""))
    rank = rank or list(scenario.nodes).index(node) + 1
    return bytes((2, 0, 0, rank >> 8, rank & 0xFF, list(scenario.nodes[node].interfaces).index(interface)))


def own_addresses(attachment: Interface, mac: bytes) -> tuple[IPv4Interface | IPv6Interface, ...]:
    """The addresses of an interface; one with IPv6 has a link-local address, if need be that of its MAC."""
    own = attachment.addresses
    lacks = any(each.version == 6 for each in own) and not any(each.ip.is_link_local for each in own)
    return (*own, link_local(mac)) if lacks else own


def link_local(mac: bytes) -> IPv6Interface:
    """The address that the kernel makes of a MAC (RFC 4291, appendix A)."""
    host = bytes((mac[0] ^ 2, *mac[1:3], 0xFF, 0xFE, *mac[3:]))
    return IPv6Interface((b"\xfe\x80" + bytes(6) + host, 64))


@once
def client_addresses(scenario: Scenario) -> dict[str, Address]:
    """Each client's own address, or the last of its segment that nobody has."""
    found: dict[str, Address] = {}
    for number, (name, client) in enumerate(scenario.clients.items()):
        family = client.asks.version
        found[name] = cached(
            client.address.ip
            if client.address
            else _free(scenario, client.segment, family, number, set(found.values()))
        )
    return found


def _free(scenario: Scenario, segment: str, family: int, number: int, others: set[Address]) -> Address:
    subnet = scenario.segments[segment].network(family)
    if subnet is None:
        if family == 6:
            return IPv6Address(f"fe80::c11e:{number + 1:x}")
        return IPv4Address(f"198.18.255.{254 - number}")
    taken = others | _taken(scenario)
    candidate = subnet.broadcast_address - 1
    while candidate in taken:
        candidate -= 1
    return candidate


def _taken(scenario: Scenario) -> set[Address]:
    taken = {client.address.ip for client in scenario.clients.values() if client.address}
    for name, node in scenario.nodes.items():
        for interface, attachment in node.interfaces.items():
            taken |= {each.ip for each in own_addresses(attachment, card(scenario, name, interface))}
        for instance in node.keepalived.config.instances if node.keepalived else ():
            taken |= {each.address for each in (*instance.addresses, *instance.excluded)}
    return taken


class Forged(NamedTuple):
    """A forged advert, as it is to be put into an IP packet; `packet`: that, if an AH covers it."""

    source: Address
    destination: Address
    payload: bytes
    packet: bytes


def forged(scenario: Scenario, segment: str, advert: InjectedAdvert) -> Forged:
    """An injected advert with a correct checksum, from an address that nobody has unless it names one."""
    model = scenario.segments[segment]
    v6 = model.network(4) is None and model.network(6) is not None
    source: Address = advert.source or (
        IPv6Address("fe80::bad")
        if v6
        else _free(scenario, segment, 4, STRANGER, set(client_addresses(scenario).values()))
    )
    destination = advert.destination or (GROUP6 if source.version == 6 else GROUP4)
    kind = {"none": AuthType.NONE, "pass": AuthType.PASS, "ah": AuthType.AH}[advert.auth_type]
    payload = encode(
        Advertisement(
            version=advert.version,
            vrid=advert.vrid,
            priority=advert.priority,
            interval_wire=advert.interval_ns // (10_000_000 if advert.version == 3 else 1_000_000_000),
            addresses=advert.addresses,
            auth_type=kind.value,
            auth_data=authentication_data(Authentication(kind, advert.auth_pass.encode())),
        ),
        source=source,
        destination=destination,
        checksum=DIALECTS[scenario.dialect].checksum,
        family=source.version,
    )
    key = advert.auth_pass.encode()
    packet = (
        sealed(payload, source, destination, advert.ttl, key, advert.sequence, 0)
        if kind is AuthType.AH and source.version == 4
        else b""
    )
    return Forged(source, destination, payload, packet)
