"""What commands look at.

`MEASURED` is what keepalived 2.2.7 on Debian 12 said of each, with a process haproxy that listens on
127.0.0.1:8099 and its pid file in place: whether the check succeeded.
"""

from ipaddress import ip_address as address

import pytest

from vrrpsim.keepalived.commands import Check, Endpoint, Limit, limit_of, meaning_of
from vrrpsim.protocol.configuration import SECOND_NS as S

NODE = frozenset({"haproxy", "nginx"})
HAPROXY = Check(process="haproxy")
GATEWAY = "10.0.0.254"
MEANINGS = {
    "pkill -0 haproxy": HAPROXY,
    "/usr/bin/killall -0 haproxy": HAPROXY,
    "killall -s 0 haproxy": HAPROXY,
    "pkill -0 -u root haproxy": HAPROXY,
    "pkill -0 hapr": HAPROXY,
    "pgrep -x haproxy": HAPROXY,
    "pgrep -F /run/haproxy.pid": HAPROXY,
    "pkill --signal 0 haproxy": HAPROXY,
    "ps -C haproxy": HAPROXY,
    "systemctl is-active --quiet haproxy": HAPROXY,
    "/bin/systemctl is-active haproxy.service": HAPROXY,
    "service haproxy status": HAPROXY,
    "sh -c 'pidof haproxy'": HAPROXY,
    "/bin/sh -c 'kill -0 $(cat /run/haproxy/haproxy.pid)'": HAPROXY,
    "sh -c 'kill -0 `cat /run/haproxy.pid`'": HAPROXY,
    "sh -c 'kill -0 $(pidof haproxy)'": HAPROXY,
    "sh -c 'pgrep haproxy > /dev/null || exit 1'": HAPROXY,
    "timeout 1 pgrep haproxy": HAPROXY,
    "sudo -n pgrep haproxy": HAPROXY,
    "curl -sf http://127.0.0.1/": Check(port="80/tcp"),
    "curl -sf -m 2 http://localhost:8080/health": Check(port="8080/tcp"),
    "curl -k https://localhost/": Check(port="443/tcp"),
    "wget -q -O /dev/null http://[::1]:8080/": Check(port="8080/tcp"),
    "nc -z localhost 80": Check(port="80/tcp"),
    "nc -z -w 2 127.0.0.1 8080": Check(port="8080/tcp"),
    "nc -z localhost 80 -w 2": Check(port="80/tcp"),
    "mysqladmin ping": Check(port="3306/tcp"),
    "redis-cli -p 6380 ping": Check(port="6380/tcp"),
    "bash -c '</dev/tcp/127.0.0.1/25'": Check(port="25/tcp"),
    "</dev/tcp/127.0.0.1/25": Check(port="25/tcp"),
    f"nc -z {GATEWAY} 80": Check(answers=Endpoint(address(GATEWAY), 80)),
    f"curl http://{GATEWAY}/": Check(answers=Endpoint(address(GATEWAY), 80)),
    "curl -g -k 'https://[2001:db8::1]/'": Check(answers=Endpoint(address("2001:db8::1"), 443)),
    f"pg_isready -h {GATEWAY}": Check(answers=Endpoint(address(GATEWAY), 5432)),
    f"ping -c 1 -W 1 {GATEWAY}": Check(answers=Endpoint(address(GATEWAY))),
    "curl http://db.example/": Check(),
    "nc -zu 10.0.0.254 53": Check(),
    "/usr/local/bin/check.sh": Check(),
    "/usr/local/bin/check.sh > /dev/null": Check(),
    "sh -c '! pgrep keepalived'": Check(),
    "pkill": Check(),
    "systemctl is-active": Check(),
}
MEASURED = """
- /bin/pidof haproxy
- pidof haproxy
- /usr/bin/pidof -x haproxy
+ /usr/bin/pgrep haproxy
+ pgrep -x haproxy
+ pgrep -f haproxy
+ pgrep -c haproxy
+ pgrep -u root haproxy
+ pgrep -u root -x haproxy
- pgrep haproxy > /dev/null
- pgrep haproxy >/dev/null
- pgrep haproxy 2>&1
- pgrep haproxy;
- pgrep haproxy &
- pgrep haproxy || exit 1
- pgrep --bogus haproxy
- pgrep -zq haproxy
+ killall -0 haproxy
+ killall -q -0 haproxy
- killall -0 haproxy > /dev/null
- killall --zero haproxy
+ pkill -0 haproxy
+ pkill -0 -x haproxy
+ pkill -x -0 haproxy
+ pkill -0 ha
+ pkill --signal 0 haproxy
- pkill -0 haproxy nosuch
- kill -0 `cat /run/haproxy.pid`
- kill -0 $(cat /run/haproxy.pid)
- /bin/kill -0 $(< /run/haproxy.pid)
+ sh -c 'pgrep haproxy > /dev/null'
+ /bin/sh -c 'kill -0 $(cat /run/haproxy.pid)'
+ sh -c 'killall -0 haproxy || exit 1'
+ sh -c 'pidof haproxy'
+ /bin/bash -c 'ss -ltn | grep -q :8099'
+ test -e /run/haproxy.pid
+ /usr/bin/[ -f /run/haproxy.pid ]
+ </run/haproxy.pid
+ curl -sf http://127.0.0.1:8099/
- curl -sf http://127.0.0.1:8099/ > /dev/null
- curl -sf http://127.0.0.1:8099/ >/dev/null 2>&1
+ curl -sf http://127.0.0.1:8099/ -o /dev/null
- curl -sf http://127.0.0.1:8099/ || exit 1
+ curl -sf 127.0.0.1:8099
+ wget -q -O /dev/null http://127.0.0.1:8099/
- wget -q -O - http://127.0.0.1:8099/ > /dev/null
- wget -qO/dev/null http://127.0.0.1:8099/ 2>&1
+ nc -z 127.0.0.1 8099
- nc -zv 127.0.0.1 8099 > /dev/null
+ nc -zw1 127.0.0.1 8099
+ timeout 1 pgrep haproxy
+ timeout 1 pidof haproxy
+ timeout 1 nc -z 127.0.0.1 8099
+ /usr/bin/timeout 1 bash -c '</dev/tcp/127.0.0.1/8099'
+ /usr/bin/env pgrep haproxy
- /bin/false
+ ps -C haproxy
- ps aux | grep haproxy
- ss -ltn | grep 8099
""".strip().splitlines()


@pytest.mark.parametrize(("command", "meaning"), MEANINGS.items(), ids=list(MEANINGS))
def test_what_a_command_looks_at(command, meaning):
    assert meaning_of(command, NODE) == meaning


@pytest.mark.parametrize("row", MEASURED)
def test_a_command_never_succeeds_where_keepalived_said_so(row):
    assert bool(meaning_of(row[2:], NODE).never) is row.startswith("-")


def test_a_name_is_too_long_for_pgrep_and_options_may_be_shortened():
    assert meaning_of("pgrep kube_apiserver_main").never
    assert not meaning_of("pgrep -f kube_apiserver_main").never
    assert meaning_of("systemctl is-active --quie haproxy", NODE) == HAPROXY
    assert "--quite" in meaning_of("systemctl is-active --quite haproxy", NODE).never


def test_pidof_works_where_symlinks_are_kept():
    assert meaning_of("pidof haproxy", NODE, symlinks=True) == HAPROXY
    assert meaning_of("/bin/pidof /usr/sbin/haproxy", NODE, symlinks=True) == HAPROXY


def test_a_request_without_a_connection_has_another_patience():
    rows = {
        "nc -z -w 2 10.0.0.1 80": Limit(2 * S, 1),
        "curl --connect-timeout 1 -m 3 http://10.0.0.1/": Limit(S, 28),
        "bash -c '</dev/tcp/10.0.0.1/80'": None,
        "ping -c1 -W1 10.0.0.1": Limit(S, 1),
        "ping -c1 10.0.0.1": Limit(10 * S, 1),
    }
    assert {command: limit_of(command, connecting=True) for command in rows} == rows


@pytest.mark.parametrize(
    ("command", "limit"),
    [
        ("curl -sf -m 1 http://127.0.0.1/", Limit(S, 28)),
        ("curl -sfm1.5 http://127.0.0.1/", Limit(3 * S // 2, 28)),
        ("curl --max-time 2 http://127.0.0.1/", Limit(2 * S, 28)),
        ("curl --connect-timeout 1 http://127.0.0.1/", None),
        ("wget -q -T 1 -t 1 -O /dev/null http://127.0.0.1/", Limit(S, 4)),
        ("wget -q -T 1 -O /dev/null http://127.0.0.1/", None),
        ("/usr/bin/timeout -k 1s 2s curl http://127.0.0.1/", Limit(2 * S, 124)),
        ("timeout 1m /usr/local/bin/check", Limit(60 * S, 124)),
        ("timeout 3 curl -m 1 http://127.0.0.1/", Limit(S, 28)),
        ("wget -q -t 1 -T 0 -O /dev/null http://127.0.0.1/", None),
        ("curl -m 0 http://127.0.0.1/", None),
        ("timeout 0 /usr/local/bin/check", None),
        ("nc -w 2 127.0.0.1 80", Limit(2 * S, 0)),
        ("nc -zw2 127.0.0.1 80", Limit(0, 0)),
        ("bash -c '</dev/tcp/127.0.0.1/80'", Limit(0, 0)),
        ("curl -sf http://127.0.0.1/", None),
    ],
)
def test_a_check_may_give_up_by_itself(command, limit):
    assert limit_of(command) == limit
