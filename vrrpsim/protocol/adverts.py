"""What an instance sends: its adverts with their bytes, to the group or to each peer (§5.1, §5.3)."""

from __future__ import annotations

from .configuration import SECOND_NS, Address
from .instances import Instance
from .outputs import SendAdvert
from .packet import Advertisement, authentication_data, checksum_form, effective_authentication, encode
from .timers import CENTISECOND_NS


def encoded(instance: Instance, priority: int) -> tuple[SendAdvert, ...]:
    """One datagram to the multicast group, or one to each peer in list order; none without a source."""
    config = instance.config
    source = instance.state.source
    if source is None:
        return ()
    mac = instance.virtual_mac if config.adverts_from_vmac else None
    return tuple(
        SendAdvert(
            config.name,
            config.interface,
            source,
            destination,
            config.ttl,
            _payload(instance, priority, source, destination),
            priority,
            mac,
        )
        for destination in [peer.address for peer in config.unicast_peers] or [config.multicast_group]
    )


def _payload(instance: Instance, priority: int, source: Address, destination: Address) -> bytes:
    config, dialect = instance.config, instance.rules.dialect
    authentication = effective_authentication(config, dialect)
    unit_ns = CENTISECOND_NS if config.version == 3 else SECOND_NS
    advert = Advertisement(
        version=config.version,
        vrid=config.vrid,
        priority=priority,
        interval_wire=config.advert_int_ns // unit_ns,
        addresses=tuple(entry.address for entry in config.addresses),
        auth_type=authentication.auth_type,
        auth_data=authentication_data(authentication),
    )
    form, covered = checksum_form(config, dialect, destination=destination, old_unicast=instance.old_unicast)
    return encode(advert, source=source, destination=covered, checksum=form, family=config.family)
