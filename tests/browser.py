"""A headless Chromium for tests: Debian's chromium and chromium-driver, and nothing from the network."""

import os
import shutil
from contextlib import contextmanager

PROGRAMS = [shutil.which(name) for name in ("chromium", "chromedriver")]
SWITCHES = ["headless=new", "disable-gpu", "disable-dev-shm-usage", "hide-scrollbars", "no-first-run"]
SWITCHES += ["no-sandbox", "disable-background-networking"]


@contextmanager
def chromium(home):
    """Yield a driver whose browser keeps everything in the folder `home`."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAMS[0]
    for switch in (*SWITCHES, f"user-data-dir={home}/profile"):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    driver = webdriver.Chrome(options, webdriver.ChromeService(PROGRAMS[1], env=environment))
    driver.set_script_timeout(90)
    try:
        yield driver
    finally:
        driver.quit()
