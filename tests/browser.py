"""Debian's chromium, driven without a window: for tests of pages, and for benchmarks/page.py."""

import contextlib
import fcntl
import functools
import http.server
import shutil
import subprocess
import threading
from pathlib import Path

INSTALL = Path(__file__).with_name("install_chromium.sh")


def unavailable():
    """Why no browser can be had here; an empty string where one can. Installs chromium where it may."""
    try:
        import selenium  # noqa: F401
    except ModuleNotFoundError:
        return "selenium is not installed: pip install -e '.[test]'"
    # Workers of one test run ask at the same moment, and apt serves one of them: the others wait and find it there.
    with INSTALL.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["sh", str(INSTALL)], capture_output=True, text=True, timeout=500)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return "" if done.returncode == 0 else f"chromium cannot be installed: {lines[-1] if lines else 'no reason given'}"


@contextlib.contextmanager
def browser(*, width=1280, height=900, dark=False, downloads=None):
    """A driver of selenium; its console's errors are in `errors(driver)`."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    # A container gives neither a sandbox of its own nor much shared memory.
    arguments = ["headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", "force-device-scale-factor=1"]
    arguments += [f"window-size={width},{height}", "disable-background-networking", "no-first-run"]
    for one in arguments:
        options.add_argument(f"--{one}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if downloads is not None:
        several = {"profile.default_content_setting_values.automatic_downloads": 1}
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads), **several})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        emulate(driver, width=width, height=height, dark=dark)
        yield driver
    finally:
        driver.quit()


def emulate(driver, *, width, height, dark=False):
    """A screen of this size, dark or light."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def errors(driver):
    """What the console complained of since the last call."""
    return [one["message"] for one in driver.get_log("browser") if one["level"] in ("SEVERE", "WARNING")]


@contextlib.contextmanager
def served(folder):
    """A static server of a folder on this machine; its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
