import pytest

from vrrpsim.keepalived.effects import effects_of

NODE = ("haproxy", "nginx")


@pytest.mark.parametrize(
    ("command", "effects"),
    [
        ("/usr/sbin/haproxy -D -f /etc/haproxy.cfg", (("start", "haproxy"),)),
        ("/usr/bin/systemctl start haproxy", (("start", "haproxy"),)),
        ("sudo systemctl -q restart haproxy.service nginx", (("restart", "haproxy"), ("restart", "nginx"))),
        ("systemctl reload-or-restart nginx", (("reload", "nginx"),)),
        ("systemctl stop bird", ()),
        ("systemctl daemon-reload", None),
        ("service haproxy stop", (("stop", "haproxy"),)),
        ("/etc/init.d/haproxy restart", (("restart", "haproxy"),)),
        ("docker start haproxy", (("start", "haproxy"),)),
        ("/usr/bin/pkill -x haproxy", (("stop", "haproxy"),)),
        ("killall -9 haproxy", (("kill", "haproxy"),)),
        ("killall -HUP haproxy", (("reload", "haproxy"),)),
        ("pkill -0 haproxy", ()),
        ("sh -c 'kill $(cat /run/haproxy.pid)'", (("stop", "haproxy"),)),
        ("/bin/sh -c 'logger master; systemctl start haproxy >/dev/null 2>&1'", (("start", "haproxy"),)),
        ("/bin/sh -c 'systemctl start haproxy && /opt/claim-address'", None),
        ("logger master", ()),
        ("/usr/local/bin/claim-elastic-ip.sh", None),
        ("/etc/keepalived/haproxy.sh start", None),
    ],
)  # fmt: skip
def test_what_a_command_does_to_processes(command, effects):
    assert effects_of(command, NODE) == effects
