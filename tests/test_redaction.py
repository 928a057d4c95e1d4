"""Commands as operators write them: what is a password is masked, what is none stays."""

import time

import pytest

from vrrpsim.redaction import MASK, masked

SECRET = "s3cr3t!"  # stands where the password is

MASKED = [
    "mysqladmin -uroot -pSECRET ping",
    "/usr/bin/mysqladmin -h 127.0.0.1 -P 3306 -u check -p'SECRET' ping",
    'mysql -pSECRET -e "select 1"',
    "mariadb-admin --password=SECRET ping",
    "mysqladmin --user=root --password='SECRET' status",
    "MYSQL_PWD=SECRET mysqladmin ping",
    "PGPASSWORD=SECRET psql -h localhost -c 'select 1'",
    "env PGPASSWORD='SECRET' pg_isready",
    "psql 'host=localhost user=check password=SECRET dbname=x'",
    "psql postgresql://check:SECRET@localhost/app -c 'select 1'",
    "curl -sf -u admin:SECRET http://localhost:9000/health",
    "curl -uadmin:SECRET http://localhost/",
    'curl -f --user "admin:SECRET" "http://localhost/?a=1&b=2"',
    'curl "http://localhost/?a=1&b=2" -u admin:SECRET',
    "curl --proxy-user=admin:SECRET http://localhost/",
    "curl https://admin:SECRET@localhost/stats",
    "curl http://localhost/health?token=SECRET",
    'curl -H "Authorization: Bearer SECRET" http://localhost/',
    "curl -H 'X-Auth-Token: SECRET' http://localhost/",
    "curl -H 'Authorization: Basic SECRET' http://localhost/",
    "wget --http-user=a --http-password=SECRET -qO- http://localhost/",
    "redis-cli -a SECRET ping",
    "redis-cli --pass SECRET ping",
    "REDISCLI_AUTH=SECRET redis-cli ping",
    "redis-cli -u redis://default:SECRET@localhost:6379 ping",
    "sshpass -p SECRET ssh check@localhost true",
    "sshpass -pSECRET ssh check@localhost true",
    "ldapsearch -x -D cn=check -w SECRET -b dc=x",
    "mongosh -u check -p SECRET --eval 'db.adminCommand(1)'",
    "mongosh 'mongodb://check:SECRET@localhost/admin'",
    "/usr/lib/nagios/plugins/check_mysql -u check -p SECRET -P 3306",
    "snmpget -v2c -c SECRET localhost sysUpTime.0",
    "etcdctl --user root:SECRET endpoint health",
    "vault status -token=SECRET",
    "smbclient -U check%SECRET -L localhost",
    "$DB_PASSWORD=SECRET",
    "--api-key SECRET",
    "/bin/sh -c 'nc -z localhost 80 && mysqladmin -pSECRET ping'",
]

INNOCENT = [
    "nc -z localhost -p 80",
    "nc -p80 localhost",
    "check_tcp -H localhost -p 80",
    "check_http -H localhost -p 8080 -u /health",
    "ssh -p 2222 localhost true",
    "pkill -0 haproxy",
    "killall -0 mysqld",
    "pgrep -u mysql mysqld",
    "mysqladmin -h localhost -P 3306 ping",
    "mysqladmin --defaults-file=/etc/mysql/debian.cnf ping",
    "mysqladmin ping | nc -p80 localhost",
    "mysqladmin -p'$MYSQL_PW' ping",
    "curl -fsS -m 2 -o /dev/null http://localhost:8080/health",
    "curl --fail --unix-socket /run/x.sock http://localhost/",
    "curl -u check: http://localhost/",
    "curl -H 'Host: example.org' http://localhost:8443/",
    "curl -b session.txt http://localhost:80/",
    "docker exec -u 1000:1000 web true",
    "psql --no-password db1 -c 'select 1'",
    "PGPASSWORD=$PW psql",
    "PGPASSWORD=$(cat /etc/pw) psql",
    "app --password-file /etc/secret",
    "app --password-file=/etc/secret --port 80",
    "test -r /etc/keepalived/password",
    "systemctl is-active --quiet haproxy",
    "PWD=/srv ./check.sh",
    "redis-cli -h localhost -p 6379 ping",
    "/usr/local/bin/check-secret.sh --port=80",
    "chk_mysql: {script: pgrep mysqld, interval: 2, weight: -20}",
    "- {at: 12s, pass: lb1/chk_haproxy}",
    "ip route get 10.0.0.1 | grep -q via",
    "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 80))'",
    "bash -c '</dev/tcp/127.0.0.1/80'",
    "compass=north bypass=1",
]


@pytest.mark.parametrize("command", MASKED)
@pytest.mark.parametrize("frame", ["{}", 'script "{}"', "chk: {{script: {}, interval: 2}}", "x: {}  # why"])
def test_a_password_in_a_command_is_masked_and_the_rest_stays(command, frame):
    text = frame.format(command.replace("SECRET", SECRET))
    assert SECRET not in masked(text)
    shown = masked(text).replace(MASK, "").replace('"', "").replace("'", "")
    assert shown == text.replace(SECRET, "").replace('"', "").replace("'", "")


@pytest.mark.parametrize("command", INNOCENT)
def test_a_command_without_a_password_stays_as_it_is(command):
    assert masked(command) == command


def test_masking_twice_changes_nothing():
    for command in MASKED:
        once = masked(command.replace("SECRET", SECRET))
        assert masked(once) == once


def test_a_long_text_is_masked_quickly():
    text = "mysql -p" + "a" * 100_000 + " -" * 20_000 + "x_" * 50_000 + "://" + "b:" * 20_000
    began = time.perf_counter()
    masked(text)
    assert time.perf_counter() - began < 5
