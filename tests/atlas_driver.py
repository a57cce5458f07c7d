#!/usr/bin/env python3
# Drives Chromium over pages of `locus atlas`, as a reader would use them; called by tests/test_atlas.sh. Python's standard
# library and chromedriver, nothing else.
#
#     atlas_driver.py check PAGE [hostile|large|intervals ...]     prints "ok WHAT" and "FAILED WHAT" lines
#     atlas_driver.py shot PAGE OUT.png WIDTH HEIGHT [light|dark] [JAVASCRIPT]
import base64, json, math, os, shutil, subprocess, sys, tempfile, time, urllib.request
from pathlib import Path


class Browser:
    """The few WebDriver commands that are needed here."""

    def __init__(self, width=1280, height=860, dark=False):
        self.profile = tempfile.mkdtemp()
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.driver.stdout:
            if "started successfully on port" in line:
                self.base = "http://127.0.0.1:" + line.split("port")[1].strip(" .\n")
                break
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--hide-scrollbars", f"--user-data-dir={self.profile}", f"--window-size={width},{height}"]
        want = {"browserName": "chrome", "goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = None
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": want}})["sessionId"]
        # The window's own size includes its frame, and is never narrow: set the page's.
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        if width < 600: self.devtools("Emulation.setTouchEmulationEnabled", enabled=True)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                                                              {"name": "prefers-reduced-motion", "value": "reduce"}])

    def call(self, method, path, body=None):
        url = self.base + (f"/session/{self.session}" if self.session else "") + path
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer: return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            raise RuntimeError(json.load(e)["value"]["message"].splitlines()[0]) from None

    def devtools(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def load(self, page):
        self.call("POST", "/url", {"url": Path(page).resolve().as_uri()})

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def settled(self, expression, seconds=10):
        """Wait until the expression is true; its last value."""
        end = time.time() + seconds
        while True:
            value = self.run("return " + expression)
            if value or time.time() > end: return value
            time.sleep(0.03)

    def find(self, selector):
        return next(iter(self.call("POST", "/element", {"using": "css selector", "value": selector}).values()))

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        element = self.find(selector)
        self.call("POST", f"/element/{element}/clear", {})
        self.call("POST", f"/element/{element}/value", {"text": text})

    def keys(self, *keys):
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions":
            [a for k in keys for a in ({"type": "keyDown", "value": k}, {"type": "keyUp", "value": k})]}]})

    def click_at(self, x, y):
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [
            {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]}]})

    def drag(self, x, y, dx, dy):
        self.call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [
            {"type": "pointerMove", "x": round(x), "y": round(y), "duration": 0}, {"type": "pointerDown", "button": 0},
            {"type": "pointerMove", "x": round(x + dx), "y": round(y + dy), "duration": 50}, {"type": "pointerUp", "button": 0}]}]})

    def log(self):
        return self.call("POST", "/se/log", {"type": "browser"})

    def shot(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("GET", "/screenshot")))

    def close(self):
        try:
            if self.session: self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            shutil.rmtree(self.profile, ignore_errors=True)


def shoot(page, out, width, height, theme="light", script=""):
    browser = Browser(int(width), int(height), theme == "dark")
    try:
        browser.load(page)
        browser.settled("window.atlas !== undefined")
        if script: browser.run(script)
        time.sleep(0.6)
        browser.shot(out)
        for line in browser.log(): print(line)
    finally:
        browser.close()


if __name__ == "__main__":
    if sys.argv[1] == "shot": shoot(*sys.argv[2:])
