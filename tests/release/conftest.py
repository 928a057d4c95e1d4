"""The wheel is built and installed once."""

import pytest
from installed import build, install

pytest.importorskip("hatchling")
pytest.importorskip("click_man")


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    return install(build(folder), folder)


@pytest.fixture
def beginner(installed, tmp_path):
    """Run lines as somebody with two configurations of their own in an otherwise empty folder."""
    tmp_path.joinpath(".config/fish/completions").mkdir(parents=True)
    installed.run(
        "vrrpsim examples haproxy-crash three-nodes-v3 -o e; mv e/keepalived/*.conf . && rm -r e"
        " && mkdir old new conf.d && cp lb*.conf old && cp lb*.conf new && cp lb*.conf conf.d"
        " && printf 'frontend www\\n    bind :80\\n' > haproxy.cfg",
        folder=tmp_path,
    )
    return lambda line, **more: installed.run(line, folder=tmp_path, **more)
