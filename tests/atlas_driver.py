#!/usr/bin/env python3
# Drives Chromium over pages of `locus atlas`, as a reader would use them; called by tests/test_atlas.sh. Python's standard
# library and chromedriver, nothing else.
#
#     atlas_driver.py check PAGE [hostile|large|every|intervals|commands PORTFOLIO.json ROUTE.json]  use the page; prints lines of "ok WHAT" and "FAILED WHAT"
#     atlas_driver.py looks PAGE                              light and dark, wide and narrow
#     atlas_driver.py pool ROUTER N Z.npy MODELS.csv          a pool of N models, some with hostile names
#     atlas_driver.py scores P.npy Y.npy                      answers drawn at the predicted chances
#     atlas_driver.py shot PAGE OUT.png WIDTH HEIGHT [light|dark] [JAVASCRIPT]
import array, base64, json, math, random, re, shutil, struct, subprocess, sys, tempfile, time, urllib.error, urllib.request
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
        self.run("const e = document.querySelector(arguments[0]); e.focus(); e.select()", selector)
        self.keys(*text)

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



# ---------------------------------------------------------------------------------------------------- made-up pools

HOSTILE = ["</script><img src=x onerror=\"window.hacked = 1\">", "\"quotes\" 'and' back\\slash & <b>bold</b>", "<!--<script>", "ATLAS_DATA",
           "\u202eright to left", "line\u2028separator \u6a21\u578b \U0001f916", "=cmd|' /C calc'!A0,${1+1}`", "</title><svg/onload=hacked=1>",
           "__proto__", "x" * 191]


def write_npy(path, kind, shape, payload):
    header = ("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }" % (kind, ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")))
    header += " " * (-(len(header) + 11) % 64) + "\n"
    Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode("latin1") + payload)


def read_npy(path):
    data = Path(path).read_bytes()
    size = struct.unpack("<H", data[8:10])[0]
    shape = eval(data[10:10 + size].split(b"'shape':")[1].split(b")")[0] + b")")
    values = array.array("f")
    values.frombytes(data[10 + size:])
    return shape, values


def make_pool(router, count, embeddings, table):
    """`count` models between those of the router, the first ones with hostile names: an array and a CSV."""
    raw = Path(router).read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    entry = json.loads(raw[8:8 + size])["pool.embeddings"]
    rows, dim = entry["shape"]
    begin, end = entry["data_offsets"]
    z = struct.unpack(f"<{rows * dim}f", raw[8 + size + begin:8 + size + end])
    rng, out, lines = random.Random(1), [], ["name,params_b,cost,available"]
    scale = sum(map(abs, z)) / len(z)
    for m in range(count):
        a, b, w = rng.randrange(rows), rng.randrange(rows), rng.random() ** 2 / 2
        out += [z[a * dim + k] * (1 - w) + z[b * dim + k] * w + rng.gauss(0, 0.15 * scale) for k in range(dim)]
        name = HOSTILE[m] if m < len(HOSTILE) else f"{rng.choice(['acme', 'orca', 'zephyr', 'hermes'])}-{a}-{b}-{m}"
        billions = math.exp(rng.gauss(2.5, 1.3))
        lines.append('"%s",%s,%.3g,%d' % (name.replace('"', '""'), "" if rng.random() < 0.1 else "%.3g" % billions,
                                          billions * math.exp(rng.gauss(0, 0.4)), m < 3 or rng.random() > 0.05))
    write_npy(embeddings, "<f4", (count, dim), struct.pack(f"<{len(out)}f", *out))
    Path(table).write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_scores(predictions, scores):
    """Answers drawn at the predicted chances [queries, models], as u1 [models, queries]; the last model has none."""
    (n, m), p = read_npy(predictions)
    rng = random.Random(2)
    write_npy(scores, "|u1", (m, n), bytes(255 if i == m - 1 else int(rng.random() < p[q * m + i]) for i in range(m) for q in range(n)))


# ------------------------------------------------------------------------------------------------------------- checks

failures = 0


def check(passes, what):
    global failures
    failures += not passes
    print(("ok " if passes else "FAILED ") + what)


def number(text):
    return float(re.match(r"[-+]?[0-9.]+(e[-+]?[0-9]+)?", text.replace("\u2212", "-")).group())


TEXTS = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
SHOWN = "return [...document.querySelectorAll('#rows li')].filter(e => !e.hidden).map(e => +e.dataset.model)"


class Page:
    """What the page should show, worked out anew from the data in its file."""

    def __init__(self, path):
        text = Path(path).read_text(encoding="utf-8")
        d = json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])
        self.d, self.M, self.Q, self.names = d, len(d["names"]), d["queries"], d["names"]
        raw = base64.b64decode(d["profiles"])
        self.p = [raw[m * self.Q:(m + 1) * self.Q] for m in range(self.M)]
        self.accuracy = [sum(row) / 255 / self.Q for row in self.p]

    def agreement(self, a, b):
        return sum(x * y + (255 - x) * (255 - y) for x, y in zip(self.p[a], self.p[b])) / 65025 / self.Q

    def difference(self, a, b):
        return math.sqrt(sum((x - y) ** 2 for x, y in zip(self.p[a], self.p[b])) / self.Q) / 255

    def value(self, chosen):
        return sum(max(column) for column in zip(*(self.p[m] for m in chosen))) / 255 / self.Q

    def greedy(self, count):
        chosen = []
        for _ in range(count):
            chosen.append(max((m for m in range(self.M) if self.d["available"][m] and m not in chosen), key=lambda m: (self.value(chosen + [m]), -m)))
        return chosen

    def routed(self, budget):
        """Accuracy and cost at the smallest price that keeps the budget, by bisection over whole decisions."""
        models, low, high, best = [m for m in range(self.M) if self.d["available"][m]], 0.0, 1e3, None
        for _ in range(60):
            price = low if best is None and low == 0.0 and _ == 0 else (low + high) / 2
            picks = [max(models, key=lambda m: (self.p[m][q] / 255 - price * self.d["cost"][m], self.p[m][q])) for q in range(self.Q)]
            cost = sum(self.d["cost"][m] for m in picks) / self.Q
            if cost <= budget: high, best = price, (sum(self.p[m][q] for q, m in enumerate(picks)) / 255 / self.Q, cost)
            else: low = price
            if price == 0.0 and cost <= budget: break
        return best


def common(browser, path):
    browser.load(path)
    check(browser.settled("window.atlas !== undefined"), "the page starts")
    check(browser.run("return performance.getEntriesByType('resource').length") == 0, "nothing is fetched")
    check(browser.run("return document.querySelectorAll('img, iframe, object, script[src], link:not([rel=icon])').length") == 0, "no foreign element")
    return Page(path)


def check_map(b, page):
    where = lambda m: b.run("return atlas.where(arguments[0])", m)
    # Click a model that no other lies upon.
    spots = [where(m) for m in range(page.M)]
    apart = lambda m: min(math.dist(spots[m], spots[k]) for k in range(page.M) if k != m)
    m = max((m for m in range(page.M) if page.d["available"][m]), key=apart)
    b.click_at(*spots[m])
    check(b.settled("!document.querySelector('#detail').hidden"), "a click on the map opens the model")
    check(b.run(TEXTS, "#detail h2")[0].strip() == page.names[m], "and its name is the heading")
    before = where(m)
    b.drag(before[0] + 40, before[1] + 60, 50, 30)
    after = where(m)
    check(abs(after[0] - before[0] - 50) < 3 and abs(after[1] - before[1] - 30) < 3, "dragging moves the map")
    b.click("#zoom button:nth-child(1)")
    k = 0 if m else 1
    check(math.dist(where(m), where(k)) > 1.3 * math.dist(spots[m], spots[k]), "the button zooms in")
    b.click("#zoom button:nth-child(3)")
    check(math.dist(where(m), spots[m]) < 2, "the button shows the whole map again")
    b.run("document.querySelector('[value=principal]').click()")
    b.settled("atlas.state.layout === 'principal'")
    xy, a, c = page.d["layouts"]["principal"], where(m), where(k)
    check(abs((a[0] - c[0]) * (xy[2 * m + 1] - xy[2 * k + 1]) + (a[1] - c[1]) * (xy[2 * m] - xy[2 * k])) < 1e-2 * (1 + math.dist(a, c)),
          "the other layout is that of the principal components")
    b.run("document.querySelector('[value=map]').click()")
    # By keyboard alone.
    b.run("document.querySelector('#canvas').focus()")
    for key in ("\ue014", "\ue012", "\ue013", "\ue015"): b.keys(key)
    said = b.run(TEXTS, "#live")[0]
    check(any(said.startswith(name + ",") for name in page.names), "arrow keys go from model to model and say so")
    b.keys("\ue007")
    check(said.startswith(b.run(TEXTS, "#detail h2")[0].strip()), "Enter opens the model")
    check(b.run("return document.activeElement.tagName") == "H2", "and the focus is on its heading")
    b.click("#detail .back")
    check(b.settled("document.activeElement.closest('#rows') !== null"), "the way back leads to the list")


def check_filters(b, page):
    b.type("#search", "llama")
    want = [m for m in range(page.M) if "llama" in page.names[m].lower()]
    check(sorted(b.run(SHOWN)) == want and b.run(TEXTS, "#count")[0] == f"{len(want)} of {page.M} models", "the search shows what has the name")
    b.type("#search", "no such model")
    check(b.run(SHOWN) == [] and not b.run("return document.querySelector('#none').hidden"), "and says where there is none")
    b.click("#clear")
    check(b.settled("document.querySelector('#clear').hidden") and b.run(TEXTS, "#count")[0] == f"{page.M} models" and len(b.run(SHOWN)) == page.M, "Clear shows all")
    b.type("#size-from", "30")
    b.type("#size-to", "100")
    want = [m for m in range(page.M) if page.d["parameters"][m] is not None and 30 <= page.d["parameters"][m] <= 100]
    check(sorted(b.run(SHOWN)) == want and want, "the filter by size")
    b.click("#clear")
    b.settled("document.querySelector('#clear').hidden")
    b.click("#clusters button:nth-child(2)")
    check(sorted(b.run(SHOWN)) == [m for m in range(page.M) if page.d["cluster"][m] == 1], "a cluster alone")
    b.click("#clusters button:nth-child(2)")
    check(len(b.run(SHOWN)) == page.M, "and all again")
    for by, key in (("name", lambda m: page.names[m].lower()), ("size", lambda m: -(page.d["parameters"][m] or -1)), ("accuracy", lambda m: -round(page.accuracy[m], 9))):
        b.run("document.querySelector('#order').value = arguments[0]; document.querySelector('#order').onchange()", by)
        got = [key(m) for m in b.run(SHOWN)]
        check(got == sorted(got), f"the list by {by}")


def check_model(b, page, intervals):
    m = max(range(page.M), key=lambda m: page.accuracy[m])
    b.run("document.querySelector(`#rows li[data-model='${arguments[0]}'] button`).click()", m)
    facts = b.run(TEXTS, ".facts dd")
    check(abs(number(facts[0]) - 100 * page.accuracy[m]) < 0.06, "expected accuracy")
    b.click("#many")
    tables = b.run("return [...document.querySelectorAll('.neighbours')].map(t => [...t.querySelectorAll('tbody tr')].map(r => [...r.cells].map(c => c.textContent)))")
    k = min(10, page.M - 1)
    check([len(t) for t in tables] == [k, k], f"two lists of {k} neighbours")
    rows = [(page.names.index(row[0]), number(row[1]), number(row[2])) for row in tables[0]]
    check(all(abs(agree - 100 * page.agreement(m, i)) < 0.15 for i, _, agree in rows), "agreement is that of the profiles")
    check(all(abs(differ - 100 * page.difference(m, i)) < 0.15 for i, differ, _ in rows), "and so is the difference")
    best = min((page.difference(m, i) for i in range(page.M) if i != m and page.d["available"][i]))
    check(abs(rows[0][1] - 100 * best) < 0.15, "the first stand-in is the one that differs least")
    check(all(rows[i][1] <= rows[i + 1][1] and number(tables[1][i][1]) <= number(tables[1][i + 1][1]) for i in range(k - 1)), "nearest first")
    check(all(page.d["available"][page.names.index(row[0])] for t in tables for row in t), "none is unavailable")
    note = " ".join(b.run(TEXTS, ".intervals"))
    if intervals:
        spans = [t.replace("\u00a0%", "").split("\u2013") for t in b.run(TEXTS, ".neighbours .interval")]
        check(len(spans) >= 2 * k - 2 and all(float(low) <= float(high) for low, high in spans), "each has its interval")
        check("90\u00a0%" in note, "and the page says which")
        r = page.d["intervals"]
        check(r["accuracy"][2 * page.M - 1] is None, "a model without evaluations has none")
        check(all(r["accuracy"][2 * i] - 1e-3 <= page.accuracy[i] <= r["accuracy"][2 * i + 1] + 1e-3 for i in range(page.M - 1)), "the intervals hold the figures")
    else:
        check("no evaluations given" in note, "no interval, and the page says why")
    d = page.d
    if d["categories"]:
        rows = b.run("return [...document.querySelectorAll('.bars tbody tr')].map(r => [...r.cells].map(c => c.firstChild?.textContent ?? ''))")
        check([row[0] for row in rows] == ["overall"] + d["categories"], "a bar for each category")
        for c, row in enumerate(rows[1:]):
            queries = [q for q in range(page.Q) if d["category"][q] == c]
            mean = [sum(page.p[i][q] for q in queries) / 2.55 / len(queries) for i in range(page.M)]
            if abs(number(row[2]) - mean[m]) > 0.6 or abs(number(row[3]) - (mean[m] - sum(mean) / page.M)) > 0.06: break
        else: c = None
        check(c is None, "each the mean of its queries, beside the pool's")
    other = 1 if m == 0 else 0
    b.run("against.focus(); against.value = data.names[arguments[0]]; against.onchange()", other)
    check(abs(number(b.run(TEXTS, "#agreement b")[0]) - 100 * page.agreement(m, other)) < 0.06, "compared with another model")
    b.run("against.value = ''; against.onchange()")


def check_portfolio(b, page):
    b.click("#tab-portfolio")
    for k in (1, 3, 5):
        b.type("#limit", str(k))
        names = [row for row in b.run(TEXTS, "#portfolio-list tbody .go span:last-child")]
        want, shown = page.greedy(k), number(b.run(TEXTS, "#portfolio-value")[0])
        check(len(names) == k and abs(shown - 100 * page.value([page.names.index(n) for n in names])) < 0.06, f"a set of {k} and its value")
        check(page.value([page.names.index(n) for n in names]) >= page.value(want) - 1e-9, f"as good as the greedy set of {k}")
        bound = float(re.search(r"better than ([0-9.]+)", b.run(TEXTS, "#portfolio-result")[0]).group(1))
        check(shown <= bound <= 100 * min(page.value(range(page.M)), page.value(want) / (1 - math.exp(-1))) + 0.06, f"and its bound {bound}")
    check(len(b.run("return [...atlas.state.marked.keys()]")) == 5, "the set is marked on the map")
    curve = b.run("return document.querySelector('#portfolio-chart .curve').getAttribute('d')")
    ys = [float(pair.split()[1]) for pair in curve.replace("M", "L").split("L")[1:]]
    check(len(ys) == min(sum(page.d["available"]), 30) and all(ys[i + 1] <= ys[i] for i in range(len(ys) - 1)) and ys[-1] < ys[0], "the curve rises with the size")
    best = max(page.accuracy[m] for m in range(page.M) if page.d["available"][m])
    b.run("document.querySelector('[name=limit][value=cost]').click()")
    for budget in (20, 150):
        b.type("#limit", str(budget))
        chosen = [page.names.index(n) for n in b.run(TEXTS, "#portfolio-list tbody .go span:last-child")]
        affordable = max((page.accuracy[m] for m in range(page.M) if page.d["cost"][m] <= budget and page.d["available"][m]), default=0)
        check(chosen and sum(page.d["cost"][m] for m in chosen) <= budget * (1 + 1e-9) and page.value(chosen) >= affordable - 1e-9,
              f"a set within a budget of {budget}, no worse than one model")
    check(b.settled("budgetMemo.step === 40 && document.querySelector('#portfolio-chart .curve') !== null"), "the curve against the budget")
    b.run("document.querySelector('[name=limit][value=count]').click()")
    b.type("#search", page.names[0])
    b.click("#portfolio-shown")
    shown = b.run("return candidates(true).length")
    check(len(b.run(TEXTS, "#portfolio-list tbody tr")) == min(shown, 5), "a set from the models that the filters show")
    b.click("#portfolio-shown")
    b.click("#clear")
    b.settled("document.querySelector('#clear').hidden")


def check_mix(b, page):
    b.click("#tab-mix")
    costs = sorted(page.d["cost"][m] for m in range(page.M) if page.d["available"][m])
    values = []
    for budget in (costs[0] * 1.5, costs[len(costs) // 2], costs[-1]):
        b.type("#budget", f"{budget:.4g}")
        share = [number(t) for t in b.run(TEXTS, "#mix-list .share")]
        value, cost = number(b.run(TEXTS, "#mix-value")[0]), number(b.run(TEXTS, "#mix-cost")[0])
        check(share and abs(sum(share) - 100) < 1e-6, f"the shares add up to 100 % at a budget of {budget:.4g}")
        check(cost <= float(f"{budget:.4g}") * 1.005, "and it is kept")
        rows = b.run("return [...document.querySelectorAll('#mix-list tbody tr')].map(r => [...r.cells].map(c => c.textContent))")
        spent = sum(number(row[1]) * number(row[3]) for row in rows) / 100
        right = sum(number(row[1]) * number(row[2]) for row in rows) / 100
        check(abs(spent - cost) <= 0.01 * cost + 5e-4 * max(number(row[3]) for row in rows), f"the shares cost that much: {spent:.4g}, {cost}")
        check(abs(right - value) <= 0.6, f"and are right as often: {right:.1f} %, {value} %")
        if page.M <= 50:
            want = page.routed(float(f"{budget:.4g}"))
            check(-0.1 <= value - 100 * want[0] <= 0.6, f"expected accuracy {value}, by bisection {100 * want[0]:.2f}")
        values.append(value)
    check(values == sorted(values) and values[0] < values[-1], "more money, more right answers")
    b.type("#budget", f"{costs[0] / 2:.3g}")
    check("cheapest" in b.run(TEXTS, "#mix-result")[0], "a budget that is too small is refused")
    b.type("#budget", "30")
    b.click("#mix-portfolio")
    used = {page.names.index(n) for n in b.run(TEXTS, "#mix-list .go span:last-child")}
    check(used <= set(b.run("return atlas.state.portfolio")), "only models of the portfolio")
    b.click("#mix-portfolio")
    b.run("document.querySelector('#tab-mix').focus()")
    b.keys("\ue014")
    check(b.run("return [atlas.state.tab, document.activeElement.id]") == ["models", "tab-models"], "arrow keys change the tab")


def check_commands(b, page, portfolio, route):
    """What `locus portfolio` and `locus route --budget` say of the same queries, without the rounding to bytes."""
    want = json.loads(Path(portfolio).read_text())
    b.click("#tab-portfolio")
    b.type("#limit", str(len(want["picks"])))
    value = number(b.run(TEXTS, "#portfolio-value")[0])
    check(abs(value - 100 * want["value"]) < 0.2, f"locus portfolio: {100 * want['value']:.2f} %, the page: {value} %")
    want = json.loads(Path(route).read_text())
    b.click("#tab-mix")
    b.type("#budget", "30")
    value, price = number(b.run(TEXTS, "#mix-value")[0]), number(b.run(TEXTS, "#lambda")[0])
    check(abs(value - 100 * want["mean_probability"]) < 0.2, f"locus route: {100 * want['mean_probability']:.2f} %, the page: {value} %")
    check(abs(price / want["lambda"] - 1) < 0.03, f"locus route: price {want['lambda']:.3g}, the page: {price}")
    share = dict(zip(b.run(TEXTS, "#mix-list .go span:last-child"), map(number, b.run(TEXTS, "#mix-list .share"))))
    off = max(abs(share.get(m["model"], 0) - 100 * m["queries"] / want["queries"]) for m in want["models"])
    check(off < 1.5, f"shares of the queries within {off:.2f} points")


def check_hostile(b, page):
    check(page.names[:len(HOSTILE)] == HOSTILE[:page.M], "hostile names arrive as they are")
    rows = b.run("return [...document.querySelectorAll('#rows li')].sort((a, b) => a.dataset.model - b.dataset.model).map(e => e.querySelector('.go span + span').firstChild.data)")
    check(rows == page.names, "and are shown as they are")
    for m in range(min(len(HOSTILE), page.M)):
        b.run("open(arguments[0], true); state.against = arguments[0]; showModel(); showTip(arguments[0])", m)
    b.run("selectTab('portfolio'); limits.count = 30; showPortfolio(); selectTab('mix'); selectTab('models'); redraw()")
    time.sleep(0.2)
    check(b.run("return window.hacked") is None and b.run("return document.querySelectorAll('img, #detail b b').length") == 0, "and harmless")
    b.type("#search", "</SCRIPT>")
    check(b.run(SHOWN) == [0], "and found")


def check_every(b, page):
    heads = [b.run("open(arguments[0], true); return document.querySelector('#detail h2').textContent", m).strip() for m in range(page.M)]
    check(heads == [name.strip() for name in page.names], "every model opens")
    lists = b.run("return data.names.map((_, m) => { open(m, false); return document.querySelectorAll('.neighbours tbody tr').length; })")
    others = [min(5, sum(page.d["available"][k] for k in range(page.M) if k != m)) for m in range(page.M)]
    check(lists == [2 * n for n in others], "with as many neighbours as there are")
    b.run("selectTab('portfolio')")
    check(len(b.run(TEXTS, "#portfolio-list tbody tr")) == min(5, sum(page.d["available"])), "a portfolio of what is available")
    b.run("selectTab('mix')")
    check(abs(sum(map(number, b.run(TEXTS, "#mix-list .share"))) - 100) < 1e-6, "a mix of what is available")


def check_large(b, page):
    print(f"time: {page.M} models: ready {b.run('return Math.round(atlas.ready)')} ms after the start of loading")
    for what, script in (("open a model", "open(17, true)"), ("open another", "open(18, true)"), ("draw the map", "draw()"), ("search", "$('search').value = 'orca'; applyFilters()"),
                         ("clear", "$('search').value = ''; applyFilters()"), ("portfolio", "selectTab('portfolio')"), ("portfolio again", "limits.count = 9; showPortfolio()"),
                         ("mix", "selectTab('mix')"), ("mix again", "budget *= 1.3; showMix()"), ("back to the list", "selectTab('models'); close(true)")):
        print(f"time: {what} {b.run('const t = performance.now(); ' + script + '; document.body.offsetHeight; return (performance.now() - t).toFixed(1)')} ms")
    check(b.run("return rows.length") == page.M, "all models are in the list")
    # Among crowded discs the one whose rim lies nearest, or which the pointer is deepest in.
    discs = b.run("return data.names.map((_, m) => [screenX(m), screenY(m), radius[m] * clamp(Math.sqrt(view.scale / view.fitted), 0.8, 1.8)])")
    hits = [(m, b.run("return modelAt(arguments[0], arguments[1], 5)", *discs[m][:2])) for m in range(0, page.M, 97)]
    rim = lambda k, m: math.dist(discs[k][:2], discs[m][:2]) - discs[k][2]
    check(all(rim(hit, m) <= min(rim(k, m) for k in range(page.M)) + 1e-6 for m, hit in hits), "the pointer finds the right one in a crowd")


def check_page(path, kinds):
    browser = Browser()
    try:
        page = common(browser, path)
        if "hostile" in kinds: check_hostile(browser, page)
        elif "large" in kinds: check_large(browser, page)
        elif "every" in kinds: check_every(browser, page)
        elif "commands" in kinds: check_commands(browser, page, *kinds[1:])
        else:
            check_filters(browser, page)
            check_map(browser, page)
            check_model(browser, page, "intervals" in kinds)
            check_portfolio(browser, page)
            check_mix(browser, page)
        errors = [line["message"] for line in browser.log() if line["level"] in ("SEVERE", "WARNING")]
        check(not errors, "the console is silent" + "".join("\n    " + e for e in errors))
    finally:
        browser.close()


def check_looks(path):
    colours = []
    for width, dark in ((1280, False), (1280, True), (360, False)):
        browser = Browser(width, 800, dark)
        try:
            browser.load(path)
            browser.settled("window.atlas !== undefined")
            colours.append(browser.run("return getComputedStyle(document.body).backgroundColor"))
            for tab in ("models", "portfolio", "mix"):
                browser.run("selectTab(arguments[0])", tab)
                wide = browser.run("return [document.documentElement.scrollWidth, innerWidth]")
                check(wide[0] <= wide[1], f"{tab} at {width} pixels needs no scrolling sideways: {wide}")
            unnamed = browser.run("return [...document.querySelectorAll('input, select, button')].filter(e => !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).map(e => e.outerHTML)")
            check(not unnamed, f"every control has a name {unnamed}")
        finally:
            browser.close()
    check(colours[0] != colours[1], "light and dark")


if __name__ == "__main__":
    if sys.argv[1] == "shot": shoot(*sys.argv[2:])
    elif sys.argv[1] == "pool": make_pool(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
    elif sys.argv[1] == "scores": make_scores(*sys.argv[2:])
    elif sys.argv[1] == "looks": check_looks(sys.argv[2])
    elif sys.argv[1] == "check": check_page(sys.argv[2], sys.argv[3:])
    else: sys.exit("see the head of this file")
    sys.exit(failures != 0)
